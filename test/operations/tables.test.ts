import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { cleanupPreservedJobs } from '../../src/maintenance/cleanup.ts'
import { systemClock } from '../../src/time.ts'
import { enqueue, Gate, jobClass, next, openWorld, record, until, type World } from '../support/harness.ts'
import { advisoryLocks } from '../support/sessions.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterEach(() =>
  world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches, good_job_processes, good_job_settings'),
)
afterAll(() => world.close())

/** How long a table is locked. Set GOOD_JOB_TEST_LOCK_SECONDS=60 or more manually, as for a long VACUUM FULL. */
const LOCK_SECONDS = Number(process.env.GOOD_JOB_TEST_LOCK_SECONDS ?? 2)

const runs = new Map<string, number>()
const Counted = jobClass('Counted', async (job) => {
  runs.set(job.jobId, (runs.get(job.jobId) ?? 0) + 1)
  await new Promise((resolve) => setTimeout(resolve, 5))
})

/** Enqueues jobs until `stop()`, which returns their ids when all have ended. */
const load = () => {
  let isOver = false
  const ids: string[] = []
  const enqueuing = (async () => {
    while (!isOver) {
      const jobs = Array.from({ length: 10 }, () => new Counted())
      await performAllLater(jobs)
      ids.push(...jobs.map(({ jobId }) => jobId))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  return async (): Promise<string[]> => {
    isOver = true
    await enqueuing
    await until(
      async () => (await world.sql('SELECT 1 FROM good_jobs WHERE finished_at IS NULL LIMIT 1')).length === 0,
      'every job has ended',
    )
    return ids
  }
}

const expectOnce = async (ids: readonly string[]): Promise<void> => {
  expect(ids.length).toBeGreaterThan(10)
  expect(ids.filter((id) => runs.get(id) !== 1)).toEqual([])
  const [written] = await world.sql(
    `SELECT count(*)::int AS jobs, max(executions_count)::int AS attempts, count(error)::int AS errors FROM good_jobs WHERE id = ANY ($1::uuid[])`,
    [ids],
  )
  expect(written).toEqual({ jobs: ids.length, attempts: 1, errors: 0 })
}

test('TRUNCATE while jobs run aborts their signals, leaves no rows of them, and jobs enqueued later run', async () => {
  const gate = new Gate()
  const aborted: string[] = []
  const Waiting = jobClass('Waiting', async (job) => {
    job.signal.addEventListener('abort', () => aborted.push(job.jobId), { once: true })
    await gate.pass(job)
  })
  await using worker = await world.start({ jobs: [Waiting, Counted], threads: 5 })
  const ids = await Promise.all(Array.from({ length: 5 }, () => enqueue(Waiting)))
  await until(async () => worker.activeJobIds.length === 5, 'all run')
  const withdrawn = next('job_withdrawn', 5)
  const dropped = next('outcome_lost', 5)
  await world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches, good_job_processes')
  await withdrawn
  gate.open()
  await dropped
  expect(aborted.sort()).toEqual(ids.sort())
  const id = await enqueue(Counted)
  await until(async () => runs.get(id) === 1, 'the next job ran')
  await until(async () => (await advisoryLocks(world)).length === 0, 'no lock is left')
  expect(await world.sql('SELECT id FROM good_jobs')).toEqual([{ id }])
})

test('repeated TRUNCATE under load does not stop the worker', async () => {
  await using worker = await world.start({ jobs: [Counted], threads: 10 })
  const stop = load()
  for (let round = 0; round < 5; round++) {
    await next('perform_job', 20)
    await world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches')
  }
  await next('perform_job', 20)
  await stop()
  expect(worker.state).toBe('running')
  await until(async () => (await advisoryLocks(world)).length === 0, 'no lock is left')
  expect([...runs.values()].every((count) => count === 1)).toBe(true)
})

test.each([
  [
    'VACUUM FULL of all tables',
    async () => world.sql('VACUUM FULL good_jobs').then(() => world.sql('VACUUM FULL good_job_executions')),
  ],
  ['REINDEX', async () => world.sql('REINDEX TABLE good_jobs')],
  [
    `an exclusive lock of the tables for ${LOCK_SECONDS} s`,
    async () => {
      const client = await world.database.connect()
      await client.query('BEGIN')
      await client.query('LOCK TABLE good_jobs, good_job_executions')
      await client.query('SELECT pg_sleep($1)', [LOCK_SECONDS])
      await client.query('COMMIT')
    },
  ],
] as const)(
  '%s under load: all jobs wait, then continue, each once',
  async (_what, work) => {
    await using _worker = await world.start({ jobs: [Counted], threads: 10 })
    const stop = load()
    await next('perform_job', 20)
    await work()
    await next('perform_job', 20)
    await expectOnce(await stop())
  },
  60_000 + LOCK_SECONDS * 3_000,
)

test('several cleanups at once under load delete old jobs once, and nothing else', async () => {
  const old = 2_500
  await world.sql(
    `INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, serialized_params, finished_at, scheduled_at, created_at, updated_at)
     SELECT id, id, 'Old', 'default', '{}', now() - interval '20 days', now(), now(), now()
     FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, $1)) AS old`,
    [old],
  )
  await world.sql(
    `INSERT INTO good_job_executions (active_job_id, created_at, updated_at, finished_at)
     SELECT id, now(), now(), now() FROM good_jobs, generate_series(1, 2) WHERE job_class = 'Old'`,
  )
  const errors = record('worker_error')
  await using _worker = await world.start({ jobs: [Counted], threads: 10, cleanupIntervalJobs: -1 })
  const stop = load()
  const { database } = world.adapter
  const clean = () =>
    cleanupPreservedJobs({ database, clock: systemClock, olderThanSeconds: 86_400, includesDiscarded: true })
  const counts = await Promise.all([clean(), clean(), clean()])
  await next('perform_job', 20)
  const ids = await stop()
  errors.stop()
  expect(errors.seen).toEqual([])
  expect(counts.reduce((sum, each) => sum + each.destroyedJobsCount, 0)).toBeLessThanOrEqual(old)
  expect(await world.sql(`SELECT 1 FROM good_jobs WHERE job_class = 'Old'`)).toEqual([])
  expect(await world.sql(`SELECT 1 FROM good_job_executions WHERE job_class IS NULL`)).toEqual([])
  await expectOnce(ids)
})
