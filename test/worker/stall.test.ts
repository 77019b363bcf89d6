import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { Cli } from '../support/cli.ts'
import { enqueue, Gate, jobClass, openWorld, until } from '../support/harness.ts'
import { RubyWorker } from '../support/ruby-worker.ts'

const MODULE = join(import.meta.dirname, '../fixtures/jobs/timed-jobs.mjs')
const world = await openWorld()
afterAll(() => world.close())

/** Set STALL_SECONDS=360 manually for a real silence beyond the expiry, without backdating the row. */
const BLOCKED_SECONDS = Number(process.env.STALL_SECONDS ?? 40)
const EXPIRY_SECONDS = 300
const [BlockJob, TimedJob] = [jobClass('BlockJob', () => undefined), jobClass('TimedJob', () => undefined)] as const
const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

const startWorker = async (queue: string) => {
  const worker = new Cli(['start', MODULE, '--queues', queue, '--poll-interval', '0.5'], {
    env: { DATABASE_URL: world.url },
  })
  const [, processId = ''] = await worker.says(/process ([\w-]+)/)
  return { worker, processId }
}
const makeOlder = (processId: string, seconds: number) =>
  world.sql('UPDATE good_job_processes SET updated_at = updated_at - make_interval(secs => $2) WHERE id = $1', [
    processId,
    seconds,
  ])
const eventsOf = (stderr: string, name: string) =>
  stderr
    .split('\n')
    .filter((line) => line.includes(`"event":"${name}"`))
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe.concurrent('a process that stands still', () => {
  test(
    `because a job blocks its event loop for ${BLOCKED_SECONDS} s is not treated as dead, keeps its lane, and reports the stall [GJ-058]`,
    async () => {
      const { worker, processId } = await startWorker('blocked')
      const ruby = await RubyWorker.connect(world, 'advisory', 'blocked')
      const id = await enqueue(BlockJob, { queue: 'blocked' }, BLOCKED_SECONDS * 1000)
      await worker.says(new RegExp(`started ${id}`))
      // Without a heartbeat from now on the row would expire before the job ends.
      await makeOlder(processId, Math.max(0, EXPIRY_SECONDS - BLOCKED_SECONDS + 5))
      await pause(BLOCKED_SECONDS - 1)
      expect(await ruby.cleanUp()).not.toContain(processId)
      expect(await ruby.claim()).toBeUndefined()
      await worker.says(new RegExp(`ended ${id}`))
      await until(async () => (await world.job(id)).finished_at !== null, 'its outcome is written')
      expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
      await worker.says(/process_stalled/)
      worker.signal('SIGTERM')
      const { code, stderr } = await worker.ended()
      expect(code).toBe(0)
      const longest = Math.max(...eventsOf(stderr, 'process_stalled').map(({ stalledMs }) => Number(stalledMs)))
      expect(longest).toBeGreaterThan((BLOCKED_SECONDS - 5) * 1000)
      expect(eventsOf(stderr, 'lane_lost')).toEqual([])
      expect(eventsOf(stderr, 'outcome_write_failed')).toEqual([])
    },
    (BLOCKED_SECONDS + 60) * 1000,
  )

  test.each(['skiplocked', 'hybrid', 'advisory'] as const)(
    'by SIGSTOP for longer than the expiry: a Ruby worker (%s) runs its job, and its own outcome after SIGCONT is dropped [GJ-042]',
    async (strategy) => {
      const queue = `stopped ${strategy}`
      const { worker, processId } = await startWorker(queue)
      const ruby = await RubyWorker.connect(world, strategy, queue)
      const id = await enqueue(TimedJob, { queue }, 1_500)
      await worker.says(new RegExp(`started ${id}`))
      worker.signal('SIGSTOP')
      await makeOlder(processId, EXPIRY_SECONDS + 1)
      if (strategy === 'hybrid') await cleanUpInNode()
      else await ruby.cleanUp()
      await until(async () => (await world.job(id)).locked_by_id === null, 'the job is released')
      if (strategy !== 'skiplocked') {
        // Its session lives, and with it the lock, until the server detects the loss of the host.
        expect(await ruby.claim()).toBeUndefined()
        await endLaneOf(processId, id)
      }
      const gate = new Gate()
      const run = ruby.runAll((claimed) => gate.pass({ jobId: claimed } as never))
      expect((await gate.entered).jobId).toBe(id)
      await pause(7)
      worker.signal('SIGCONT')
      await worker.says(new RegExp(`ended ${id}`))
      await worker.says(/"event":"outcome_lost"/)
      await worker.says(/"event":"process_stalled"/)
      expect(await world.job(id)).toMatchObject({ finished_at: null, locked_by_id: ruby.processId })
      gate.open()
      await run
      expect(await world.job(id)).toMatchObject({ error: null, executions_count: 2, finished_at: expect.any(Date) })
      expect((await world.executions(id)).at(-1)).toMatchObject({ process_id: ruby.processId })
      // The worker continues.
      const other = await enqueue(TimedJob, { queue }, 1)
      await worker.says(new RegExp(`ended ${other}`))
      worker.signal('SIGTERM')
      expect((await worker.ended()).code).toBe(0)
      expect(await world.sql('SELECT FROM good_job_processes WHERE id = $1', [processId])).toEqual([])
    },
  )
})

const cleanUpInNode = async (): Promise<void> => {
  await using _other = await world.start({ jobs: [jobClass('Nobodys', () => undefined)], queues: 'nobodys' })
}

/** As a server does that detects the loss of the host. */
const endLaneOf = async (processId: string, jobId: string): Promise<void> => {
  const lock = `FROM pg_locks
     WHERE locktype = 'advisory' AND objsubid = 1
       AND (classid::bigint << 32) | objid::bigint = ('x' || substr(md5('good_jobs-' || $1), 1, 16))::bit(64)::bigint`
  expect(await world.sql(`SELECT pg_terminate_backend(pid) ${lock}`, [jobId]), processId).toHaveLength(1)
  // A terminated backend releases its locks a little later.
  await until(async () => (await world.sql(`SELECT ${lock}`, [jobId])).length === 0, 'the lock is free')
}

describe('the clock of a machine', () => {
  test.each([10, -10])(
    'that jumps by %i minutes while a job runs costs the job neither its lock nor its outcome, and is logged',
    async (minutes) => {
      const queue = `clock ${minutes}`
      const jumpMs = minutes * 60_000
      const clock = new URL('../fixtures/machine-clock.mjs', import.meta.url).href
      await using worker = new Cli(['start', MODULE, '--queues', queue, '--poll-interval', '0.5'], {
        env: { DATABASE_URL: world.url, NODE_OPTIONS: `--import=${clock}`, CLOCK_JUMP_MS: String(jumpMs) },
      })
      const [, processId] = await worker.says(/process ([\w-]+)/)
      const ruby = await RubyWorker.connect(world, 'skiplocked', queue)
      const id = await enqueue(TimedJob, { queue }, 5_000)
      await worker.says(new RegExp(`started ${id}`))
      worker.signal('SIGUSR2')
      const [, jumpedMs] = await worker.says(/"jumpedMs":(-?[\d.]+)/)
      expect(Math.round(Number(jumpedMs) / 60_000)).toBe(minutes)
      expect(await ruby.cleanUp()).not.toContain(processId)
      await cleanUpInNode()
      expect(await ruby.claim()).toBeUndefined()
      expect(await world.job(id)).toMatchObject({ locked_by_id: processId })
      await worker.says(new RegExp(`ended ${id}`))
      await until(async () => (await world.job(id)).finished_at !== null, 'its outcome is written')
      const { error, executions_count, finished_at } = await world.job(id)
      expect({ error, executions_count }).toEqual({ error: null, executions_count: 1 })
      // The worker follows the time of the machine in both directions.
      const offMs = (finished_at as Date).getTime() - Date.now() - jumpMs
      expect(Math.abs(offMs)).toBeLessThan(60_000)
      worker.signal('SIGTERM')
      expect((await worker.ended()).code).toBe(0)
    },
  )
})
