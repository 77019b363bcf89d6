import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Cli } from '../support/cli.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { enqueue, jobClass, next, openWorld, until } from '../support/harness.ts'
import { advisoryLocks } from '../support/sessions.ts'
import { Wire } from '../support/wire.ts'

const MODULE = join(import.meta.dirname, '../fixtures/jobs/timed-jobs.mjs')
const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_processes'))

const [ShortJob, TimedJob, HangJob] = [
  jobClass('ShortJob', () => undefined),
  jobClass('TimedJob', () => undefined),
  jobClass('HangJob', () => undefined),
] as const

const start = (databaseUrl: string, ...args: string[]): Cli =>
  new Cli(['start', MODULE, '--poll-interval', '1', ...args], { env: { DATABASE_URL: databaseUrl } })
const rows = (condition: string) => world.sql<{ id: string }>(`SELECT id FROM good_jobs WHERE ${condition}`)

/** [name, --shutdown-timeout, signals] */
type Way = readonly [string, string, readonly NodeJS.Signals[]]
const PATIENT: readonly Way[] = [
  ['SIGTERM without limit', '-1', ['SIGTERM']],
  ['SIGINT without limit', '-1', ['SIGINT']],
]
const IMPATIENT: readonly Way[] = [
  ['SIGTERM with timeout 0', '0', ['SIGTERM']],
  ['SIGINT with half a second', '0.5', ['SIGINT']],
  ['a second SIGTERM', '-1', ['SIGTERM', 'SIGTERM']],
  ['a second SIGINT', '-1', ['SIGTERM', 'SIGINT']],
]

const signalAll = async (worker: Cli, signals: readonly NodeJS.Signals[]): Promise<void> => {
  for (const [index, signal] of signals.entries()) {
    worker.signal(signal)
    if (index < signals.length - 1) await worker.says(/Asked to stop/)
  }
}

describe('a shutdown under load', () => {
  const FLOOD = 3_000
  const THREADS = 30
  const HANGING = 5

  test.each([...PATIENT, ...IMPATIENT])(
    '%s: outcomes of ended jobs are written, aborted and unbegun jobs run at once elsewhere, and the exit code is 0 [GJ-061, GJ-085]',
    async (_name, timeout, signals) => {
      const hanging = timeout === '-1' && signals.length === 1 ? 0 : HANGING
      await using worker = start(world.url, '--threads', `${THREADS}`, '--shutdown-timeout', timeout)
      const [, processId] = await worker.says(/process ([\w-]+)/)
      for (let index = 0; index < hanging; index++) await enqueue(HangJob)
      if (hanging > 0) await worker.says(/started/)
      await world.adapter.enqueueAll(Array.from({ length: FLOOD }, () => new ShortJob()))
      await until(async () => (await rows('finished_at IS NOT NULL LIMIT 100')).length === 100, 'a flood')
      await signalAll(worker, signals)
      const { code, stdout } = await worker.ended()
      expect(code).toBe(0)
      const ended = [...stdout.matchAll(/^ended (.*)$/gm)].map(([, id]) => id)
      expect(new Set(ended)).toEqual(new Set((await rows('finished_at IS NOT NULL')).map(({ id }) => id)))
      expect(await rows('error IS NOT NULL OR locked_by_id IS NOT NULL OR executions_count > 1')).toEqual([])
      // A second signal may come during a claim: its jobs do not begin, and are interrupted like hanging jobs.
      const notBegun = await rows(`finished_at IS NULL AND performed_at IS NOT NULL AND job_class = 'ShortJob'`)
      expect(notBegun.length).toBeLessThanOrEqual(signals.length > 1 ? THREADS - hanging : 0)
      expect(await rows(`performed_at IS NOT NULL AND job_class = 'HangJob'`)).toHaveLength(hanging)
      expect(await world.sql('SELECT FROM good_job_processes WHERE id = $1', [processId])).toEqual([])
      expect(await advisoryLocks(world)).toEqual([])
      const left = (await rows('finished_at IS NULL')).length
      expect(left).toBeGreaterThan(hanging)
      const done = next('perform_job', left)
      await using _next = await world.start({ jobs: [ShortJob, HangJob], threads: 50 })
      await done
      expect(await rows('finished_at IS NULL OR error IS NOT NULL')).toEqual([])
      const interrupted = await world.sql('SELECT FROM good_job_executions WHERE error_event = 0')
      expect(interrupted).toHaveLength(hanging + notBegun.length)
    },
  )
})

describe('a shutdown during a reconnect', () => {
  const scene = async (timeout: string) => {
    const network = await FaultyNetwork.start(world.url)
    const worker = start(network.url, '--shutdown-timeout', timeout)
    await worker.says(/ready/)
    const id = await enqueue(TimedJob, {}, 700)
    await worker.says(new RegExp(`started ${id}`))
    network.refuse()
    network.cut()
    await worker.says(/lane_lost/)
    return { network, worker, id }
  }

  test.each([
    ['-1', 'SIGTERM'],
    ['20', 'SIGINT'],
  ] as const)(
    'with a timeout of %s waits for Postgres to write the outcomes of ended jobs, and the exit code is 0',
    async (timeout, signal) => {
      const { network, worker, id } = await scene(timeout)
      worker.signal(signal)
      await worker.says(/ended/)
      await worker.says(/outcome_write_failed/)
      await network.accept()
      expect((await worker.ended()).code).toBe(0)
      expect(await world.job(id)).toMatchObject({ finished_at: expect.any(Date), error: null, locked_by_id: null })
      expect(await world.sql('SELECT FROM good_job_processes')).toEqual([])
      await network[Symbol.asyncDispose]()
    },
  )

  test.each([
    ['1', ['SIGTERM']],
    ['-1', ['SIGTERM', 'SIGINT']],
  ] as const)(
    'with an expired timeout of %s (%j) abandons unwritten outcomes: the exit code is 1, and the job runs again as interrupted',
    async (timeout, signals) => {
      const { network, worker, id } = await scene(timeout)
      await worker.says(/ended/)
      await worker.says(/outcome_write_failed/)
      await signalAll(worker, signals)
      const { code, stderr } = await worker.ended()
      expect(code).toBe(1)
      expect(stderr).toContain('"event":"scheduler_shutdown_incomplete"')
      expect(await world.job(id)).toMatchObject({ finished_at: null })
      await world.sql(`UPDATE good_job_processes SET updated_at = updated_at - interval '6 minutes'`)
      const again = next('perform_job', 1, ({ jobId }) => jobId === id)
      await using _next = await world.start({ jobs: [TimedJob] })
      await again
      expect((await world.executions(id)).map(({ error_event }) => error_event)).toEqual([0, null])
      await network[Symbol.asyncDispose]()
    },
  )

  test('with a slow Postgres still writes the outcomes of ended jobs, also with a timeout of 0, and the exit code is 0', async () => {
    await using wire = await Wire.start(world.url)
    await using worker = start(wire.url(), '--shutdown-timeout', '0')
    await worker.says(/ready/)
    wire.hold('toServer', { names: /Completer/ })
    const id = await enqueue(TimedJob, {}, 5)
    await worker.says(new RegExp(`ended ${id}`))
    worker.signal('SIGTERM')
    await worker.says(/Asked to stop/)
    await world.sql('SELECT pg_sleep(0.8)')
    wire.release()
    expect((await worker.ended()).code).toBe(0)
    expect(await world.job(id)).toMatchObject({ finished_at: expect.any(Date), error: null, locked_by_id: null })
    expect(await world.sql('SELECT FROM good_job_processes')).toEqual([])
  })

  test('with a silent Postgres and a timeout of 0 ends without a wait, and the exit code is 1', async () => {
    await using wire = await Wire.start(world.url)
    await using worker = start(wire.url(), '--shutdown-timeout', '0')
    await worker.says(/ready/)
    const id = await enqueue(HangJob)
    await worker.says(new RegExp(`started ${id}`))
    wire.hold('both')
    const since = performance.now()
    worker.signal('SIGTERM')
    expect((await worker.ended()).code).toBe(1)
    expect(performance.now() - since).toBeLessThan(20_000)
  })
})

describe('a shutdown during the start', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('by %s while Postgres refuses connections exits with 0', async (signal) => {
    await using network = await FaultyNetwork.start(world.url)
    network.refuse()
    await using worker = start(network.url)
    await worker.says(/Postgres does not respond/)
    worker.signal(signal)
    const { code, stdout } = await worker.ended()
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
  })

  test('by one or two signals while Postgres is silent exits with 0, long before the connection times out', async () => {
    await using wire = await Wire.start(world.url)
    wire.hold('both')
    await using worker = start(wire.url(), '--log-level', 'debug')
    await wire.connected
    const since = performance.now()
    await signalAll(worker, ['SIGTERM', 'SIGTERM'])
    expect((await worker.ended()).code).toBe(0)
    expect(performance.now() - since).toBeLessThan(5_000)
  })

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s while the parts connect exits with 0 and leaves nothing behind',
    async (signal) => {
      await using wire = await Wire.start(world.url)
      wire.hold('toClient', { names: /Lane/ })
      await enqueue(ShortJob)
      await using worker = start(wire.url(), '--connect-timeout', '5')
      await until(async () => {
        const query = `SELECT FROM pg_stat_activity WHERE application_name = 'GoodJob::Completer' AND datname = current_database()`
        return (await world.sql(query)).length === 1
      }, 'the parts connect')
      worker.signal(signal)
      await worker.says(/Asked to stop/)
      wire.release()
      expect((await worker.ended()).code).toBe(0)
      expect(await rows('performed_at IS NOT NULL')).toEqual([])
      expect(await world.sql('SELECT FROM good_job_processes')).toEqual([])
    },
  )
})
