import { randomUUID } from 'node:crypto'
import { Pool } from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { resolveConfiguration } from '../../src/configuration.ts'
import type { Job } from '../../src/job/base.ts'
import { JobRegistry } from '../../src/job/definition/registry.ts'
import { Capsule } from '../../src/worker/capsule.ts'
import { CapsuleTracker } from '../../src/worker/capsule-tracker.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, until } from '../support/harness.ts'
import { blockedSessions } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())

/** Set LOCKED_SHUTDOWN_SECONDS=6 manually, on a quiet machine. */
const { LOCKED_SHUTDOWN_SECONDS } = process.env
const LONGER_SECONDS = Number(LOCKED_SHUTDOWN_SECONDS ?? 1)
/** The promise is two seconds beyond the timeout; the rest is slack for a busy machine, or for the last timer of a manual run. */
const LATE_MS = 2_000 + (LOCKED_SHUTDOWN_SECONDS === undefined ? 1_500 : 100)
/** Seconds that a shutdown took; a manual run prints them. */
const report = (what: string, ms: number): void => {
  if (LOCKED_SHUTDOWN_SECONDS !== undefined) console.info(`${what}: ${(ms / 1000).toFixed(2)} s`)
}

const EchoJob = jobClass('EchoJob', () => undefined)

/** The lock that a migration holds while it rewrites a table. */
const lockTable = async (table: string) => {
  const holder = await world.database.connect()
  await holder.query('BEGIN')
  await holder.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`)
  return {
    unlock: async () => {
      await holder.query('COMMIT')
      await holder.end()
    },
  }
}

describe.each([0, LONGER_SECONDS])('a shutdown with a timeout of %s s', (timeout) => {
  test.each([
    'good_jobs',
    'good_job_executions',
    'good_job_batches',
    'good_job_concurrency_claims',
    'good_job_processes',
  ])(
    'beside a lock on %s ends two seconds after the timeout, and reports the outcomes that it abandoned',
    async (table) => {
      const gate = new Gate()
      const GateJob = jobClass('GateJob', (job) => gate.pass(job))
      const capsule = await world.start({ jobs: [GateJob, EchoJob], pollInterval: 0.2 })
      const job = new (GateJob as new () => Job)()
      const id = job.jobId
      await Batch.enqueue({ onSuccess: EchoJob }, job)
      await gate.entered
      const lock = await lockTable(table)
      const ended = next('perform', 1, ({ jobId }) => jobId === id)
      gate.open()
      await ended
      const incomplete = next('scheduler_shutdown_incomplete')
      const since = performance.now()
      await capsule.shutdown({ timeout })
      const tookMs = performance.now() - since
      report(`a timeout of ${timeout} s beside a lock on ${table}`, tookMs)
      expect(tookMs).toBeLessThan(timeout * 1000 + LATE_MS)
      expect(capsule.isStoppedCleanly).toBe(false)
      const keepsOutcomes = table !== 'good_job_processes'
      expect((await incomplete)[0]).toMatchObject({ unwrittenOutcomes: keepsOutcomes ? 1 : 0 })
      await lock.unlock()
      const again = next('perform_job', 1, ({ jobId }) => jobId === id)
      // Statements that the server had received by then run once the lock is released.
      await world.sql(`UPDATE good_job_processes SET updated_at = updated_at - interval '6 minutes'`)
      if (keepsOutcomes) {
        await using _next = await world.start({ jobs: [GateJob, EchoJob], pollInterval: 0.2 })
        await again
        expect((await world.executions(id)).map(({ error_event }) => error_event)).toEqual([0, null])
      } else expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
      const callbacks = await world.sql('SELECT batch_callback_id FROM good_jobs WHERE batch_callback_id IS NOT NULL')
      expect(callbacks).toHaveLength(1)
      await until(
        async () => (await world.sql('SELECT FROM good_job_processes')).length === 0,
        'no process row is left',
      )
      await world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches')
    },
  )
})

test('a job that ignores its signal beside a locked table delays neither the shutdown nor the end of the process', async () => {
  const gate = new Gate()
  const DeafJob = jobClass('DeafJob', (job) => gate.pass(job))
  const capsule = await world.start({ jobs: [DeafJob, EchoJob], pollInterval: 0.2 })
  await enqueue(DeafJob)
  await gate.entered
  const lock = await lockTable('good_jobs')
  const since = performance.now()
  await capsule.shutdown({ timeout: 0 })
  await capsule.leave()
  expect(performance.now() - since).toBeLessThan(LATE_MS)
  expect(capsule.isStoppedCleanly).toBe(false)
  await lock.unlock()
  gate.open()
  await until(async () => (await world.sql('SELECT FROM good_job_processes')).length === 0, 'no process row is left')
  await world.sql('TRUNCATE good_jobs, good_job_executions')
})

test('abort() sets the deadline of a shutdown without a timeout', async () => {
  const gate = new Gate()
  const DeafJob = jobClass('DeafJob', (job) => gate.pass(job))
  const capsule = await world.start({ jobs: [DeafJob], pollInterval: 0.2 })
  await enqueue(DeafJob)
  await gate.entered
  const lock = await lockTable('good_jobs')
  await capsule.shutdown({ timeout: null })
  const since = performance.now()
  capsule.abort()
  await capsule.shutdown()
  expect(performance.now() - since).toBeLessThan(LATE_MS)
  await lock.unlock()
  gate.open()
  await until(async () => (await world.sql('SELECT FROM good_job_processes')).length === 0, 'no process row is left')
  await world.sql('TRUNCATE good_jobs, good_job_executions')
})

test("a caller's pool without a free connection does not delay the shutdown", async () => {
  const pool = new Pool({ connectionString: world.url, max: 2 })
  const capsule = new Capsule({ pool, jobs: [EchoJob], batchSweepInterval: 0 })
  await capsule.start()
  await performed(await enqueue(EchoJob))
  const lent = await Promise.all([pool.connect(), pool.connect()])
  const since = performance.now()
  await capsule.shutdown({ timeout: 0 })
  expect(performance.now() - since).toBeLessThan(LATE_MS)
  expect(capsule.isStoppedCleanly).toBe(false)
  for (const client of lent) client.release()
  await until(async () => (await world.sql('SELECT FROM good_job_processes')).length === 0, 'no process row is left')
  await pool.end()
})

/** The tracker of the process row of a worker without pools. */
const trackerOf = (processId: string): CapsuleTracker => {
  const { database, clock } = world.adapter
  return new CapsuleTracker({
    database,
    processId,
    configuration: resolveConfiguration({ databaseUrl: world.url }),
    clock,
    registry: new JobRegistry(),
    schedulers: () => [],
    attemptIds: () => [],
    onReleased: () => undefined,
    onClockJumped: () => undefined,
  })
}

test('a process row written after its process was stopped is deleted again', async () => {
  await world.sql(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM pg_advisory_xact_lock(1);
        RETURN NEW;
      END $$;
    CREATE TRIGGER wait BEFORE INSERT ON good_job_processes FOR EACH ROW EXECUTE FUNCTION wait()`)
  const holder = await world.database.connect()
  try {
    await holder.query('SELECT pg_advisory_lock(1)')
    const tracker = trackerOf(randomUUID())
    const starting = tracker.start()
    const waits = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`
    await until(async () => (await world.sql(waits)).length === 1, 'the row is on its way')
    await tracker.stop()
    await holder.query('SELECT pg_advisory_unlock(1)')
    await starting
    expect(await world.sql('SELECT FROM good_job_processes')).toEqual([])
  } finally {
    await holder.end()
    await world.sql('DROP FUNCTION wait CASCADE')
  }
})

test('a cleanup that waits for a lock does not keep a stopping process from deleting its row', async () => {
  const processId = randomUUID()
  const tracker = trackerOf(processId)
  await tracker.start()
  const rows = () => world.sql('SELECT FROM good_job_processes WHERE id = $1', [processId])
  expect(await rows()).toHaveLength(1)
  // A cleanup reads this table, the end of a process does not.
  const lock = await lockTable('good_job_concurrency_claims')
  tracker.cleanUp()
  await until(async () => (await blockedSessions(world)) === 1, 'the cleanup waits')
  const since = performance.now()
  await tracker.stop()
  expect(performance.now() - since).toBeLessThan(LATE_MS)
  expect(await rows()).toEqual([])
  await lock.unlock()
  await until(async () => (await blockedSessions(world)) === 0, 'no session waits')
})

test('a job that ends long after the shutdown still writes its outcome, and the process row is deleted then', async () => {
  const gate = new Gate()
  const DeafJob = jobClass('DeafJob', (job) => gate.pass(job))
  const capsule = await world.start({ jobs: [DeafJob] })
  const id = await enqueue(DeafJob)
  await gate.entered
  await capsule.shutdown({ timeout: 0 })
  // Longer than the parts that stop after the jobs may take.
  await new Promise((resolve) => setTimeout(resolve, 5_500))
  const done = performed(id)
  gate.open()
  await done
  await until(
    async () => (await world.sql('SELECT FROM good_job_processes WHERE id = $1', [capsule.processId])).length === 0,
    'the process row is gone',
  )
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
})
