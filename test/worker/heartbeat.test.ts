import { randomUUID } from 'node:crypto'
import type { Worker } from 'node:worker_threads'
import { afterAll, expect, test, vi } from 'vitest'
import { resolveConfiguration } from '../../src/configuration.ts'
import { JobRegistry } from '../../src/job/definition/registry.ts'
import { Database } from '../../src/sql/database.ts'
import { upsertProcessText } from '../../src/sql/process/processes.ts'
import { CapsuleTracker } from '../../src/worker/capsule-tracker.ts'
import { Heartbeat } from '../../src/worker/heartbeat.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { enqueue, Gate, jobClass, next, openWorld, until } from '../support/harness.ts'
import { blockedSessions } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())

const INTERVAL_MS = 100
const start = async (database: Database): Promise<{ heartbeat: Heartbeat; processId: string }> => {
  const processId = randomUUID()
  const statement = upsertProcessText(await world.adapter.database.facts())
  const config = database.clientConfig('GoodJob::Process')
  const heartbeat = new Heartbeat({ config, statement, processId, intervalMs: INTERVAL_MS, state: () => '{}' })
  heartbeat.start()
  return { heartbeat, processId }
}
const ageMs = async (processId: string): Promise<number> => {
  const [row] = await world.sql<{ age: number }>(
    `SELECT extract(epoch FROM (now() AT TIME ZONE 'UTC') - updated_at)::float8 * 1000 AS age FROM good_job_processes WHERE id = $1`,
    [processId],
  )
  return row?.age ?? Number.POSITIVE_INFINITY
}

test('heartbeats continue after a cut connection and after a silent partition [GJ-058]', async () => {
  await using network = await FaultyNetwork.start(world.url)
  const database = new Database({ databaseUrl: network.url })
  const { heartbeat, processId } = await start(database)
  await until(async () => (await ageMs(processId)) < 100, 'the first beat')
  const beatsAgain = async (): Promise<void> => {
    await world.sql(`UPDATE good_job_processes SET updated_at = updated_at - interval '1 minute'`)
    await until(async () => (await ageMs(processId)) < 5_000, 'a beat after the fault')
  }
  network.cut('GoodJob::Process')
  await beatsAgain()
  const failed = next('process_heartbeat_failed', 1, ({ error }) => /timeout/.test(error))
  network.freeze('GoodJob::Process')
  await failed
  await beatsAgain()
  // The row shows a heartbeat before the thread reports it.
  await until(async () => heartbeat.isBeating, 'known to beat')
  await heartbeat.stop()
  await database.close()
})

test('a heartbeat thread that cannot connect is reported, and isBeating becomes false', async () => {
  const database = new Database({ databaseUrl: 'postgres://nobody@127.0.0.1:1/nowhere' })
  const failed = next('process_heartbeat_failed', 3)
  const { heartbeat } = await start(database)
  expect(heartbeat.isBeating).toBe(true)
  expect((await failed)[0]?.error).not.toBe('')
  await until(async () => !heartbeat.isBeating, 'isBeating is false')
  await heartbeat.stop()
  await heartbeat.stop()
  await database.close()
})

test('a heartbeat thread that dies is reported, and another thread continues', async () => {
  const threads: Worker[] = []
  const note = (thread: Worker) => threads.push(thread)
  process.on('worker', note)
  const { heartbeat, processId } = await start(world.adapter.database)
  await until(async () => (await ageMs(processId)) < 5_000, 'the first beat')
  process.off('worker', note)
  const failed = next('process_heartbeat_failed')
  await threads[0]?.terminate()
  expect((await failed)[0]?.error).toMatch(/ended with code 1; another one starts/)
  await world.sql(`UPDATE good_job_processes SET updated_at = updated_at - interval '1 minute'`)
  await until(async () => (await ageMs(processId)) < 5_000, 'a beat of another thread')
  await heartbeat.stop()
})

test('a worker starts the heartbeat thread while its first job runs, and ends it at shutdown', async () => {
  const threads: Worker[] = []
  const ended: Promise<unknown>[] = []
  const note = (thread: Worker) => {
    threads.push(thread)
    ended.push(new Promise((resolve) => thread.once('exit', resolve)))
  }
  process.on('worker', note)
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const capsule = await world.start({ jobs: [GateJob] })
  expect(threads).toEqual([])
  await enqueue(GateJob)
  await gate.entered
  await until(async () => threads.length === 1, 'the thread is started', 5_000)
  gate.open()
  await capsule.shutdown()
  await Promise.all(ended)
  process.off('worker', note)
})

test('a heartbeat from the event loop does not wait for a cleanup that waits for a lock', async () => {
  const { database, clock } = world.adapter
  const processId = randomUUID()
  // Heartbeats come every 25 seconds.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const tracker = new CapsuleTracker({
    ...{ database, clock, processId, registry: new JobRegistry() },
    configuration: resolveConfiguration({ databaseUrl: world.url }),
    schedulers: () => [],
    attemptIds: () => [],
    onReleased: () => undefined,
    onClockJumped: () => undefined,
  })
  await tracker.start()
  const holder = await world.database.connect()
  try {
    await holder.query('BEGIN')
    // A cleanup reads this table, a heartbeat does not.
    await holder.query('LOCK TABLE good_job_concurrency_claims IN ACCESS EXCLUSIVE MODE')
    tracker.cleanUp()
    await until(async () => (await blockedSessions(world)) === 1, 'the cleanup waits')
    await world.sql(`UPDATE good_job_processes SET updated_at = updated_at - interval '1 minute'`)
    vi.advanceTimersByTime(25_000)
    await until(async () => (await ageMs(processId)) < 30_000, 'a beat beside the cleanup', 10_000)
  } finally {
    vi.useRealTimers()
    await holder.query('COMMIT')
    await holder.end()
  }
  await until(async () => (await blockedSessions(world)) === 0, 'the cleanup goes on')
  await tracker.stop()
  expect(await ageMs(processId)).toBe(Number.POSITIVE_INFINITY)
})
