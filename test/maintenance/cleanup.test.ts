import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { type CleanupCounts, CleanupTracker, cleanupPreservedJobs } from '../../src/maintenance/cleanup.ts'
import { systemClock } from '../../src/time.ts'
import { ago, enqueue, jobClass, next, openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches, good_job_concurrency_claims'))

const DAY = 86_400
const clean = (more: { includesDiscarded?: boolean; onProgress?: (counts: CleanupCounts) => void } = {}) =>
  cleanupPreservedJobs({
    database: world.adapter.database,
    clock: systemClock,
    olderThanSeconds: DAY,
    includesDiscarded: true,
    ...more,
  })

const insertBatch = async (columns: Record<string, unknown>): Promise<string> => {
  const id = randomUUID()
  await world.sql(
    `INSERT INTO good_job_batches (id, created_at, updated_at, finished_at, discarded_at) VALUES ($1, $2, $2, $3, $4)`,
    [id, ago(10 * DAY), columns.finished_at ?? null, columns.discarded_at ?? null],
  )
  return id
}

test('old finished jobs are deleted with their executions; younger and unfinished jobs stay [GJ-080]', async () => {
  const old = await world.insert({ finished_at: ago(DAY + 60) })
  const kept = [
    await world.insert({ finished_at: ago(DAY - 60) }),
    await world.insert({ created_at: ago(30 * DAY) }),
    await world.insert({ active_job_id: null, created_at: ago(30 * DAY) }),
  ]
  const orphaned = await world.insert({ active_job_id: null, finished_at: ago(DAY + 60) })
  for (const id of [old, ...kept])
    await world.sql('INSERT INTO good_job_executions (active_job_id, created_at, updated_at) VALUES ($1, $2, $2)', [
      id,
      ago(9),
    ])
  expect(await clean()).toEqual({ destroyedJobsCount: 2, destroyedExecutionsCount: 1, destroyedBatchesCount: 0 })
  const ids = (await world.sql<{ id: string }>('SELECT id FROM good_jobs')).map(({ id }) => id)
  expect(ids.sort()).toEqual([...kept].sort())
  expect(ids).not.toContain(orphaned)
  expect(await world.executions(old)).toEqual([])
})

test('rows that another cleanup has locked are skipped without a wait, so there is no deadlock', async () => {
  const [own, foreign] = [
    await world.insert({ finished_at: ago(2 * DAY) }),
    await world.insert({ finished_at: ago(3 * DAY) }),
  ]
  const execution = 'INSERT INTO good_job_executions (active_job_id, created_at, updated_at) VALUES ($1, $2, $2)'
  for (const id of [own, own, foreign, foreign]) await world.sql(execution, [id, ago(9)])
  const claim = `INSERT INTO good_job_concurrency_claims (job_id, key, state, created_at, updated_at) VALUES ($1, 'k', 0, $2, $2)`
  for (const id of [own, foreign]) await world.sql(claim, [id, ago(9)])
  const batch = await insertBatch({ finished_at: ago(2 * DAY) })
  const other = await world.adapter.database.pool.connect()
  try {
    // The locks that a cleanup of Ruby holds between its statements.
    await other.query('BEGIN')
    await other.query('DELETE FROM good_job_executions WHERE active_job_id = $1', [foreign])
    await other.query('DELETE FROM good_job_concurrency_claims WHERE job_id = $1', [foreign])
    await other.query('DELETE FROM good_job_batches WHERE id = $1', [batch])
    expect(await clean()).toEqual({ destroyedJobsCount: 1, destroyedExecutionsCount: 2, destroyedBatchesCount: 0 })
    expect(await world.sql('SELECT id FROM good_jobs')).toEqual([{ id: foreign }])
    await other.query('ROLLBACK')
  } finally {
    other.release()
  }
  expect(await world.executions(foreign)).toHaveLength(2)
  expect(await world.sql('SELECT job_id FROM good_job_concurrency_claims')).toEqual([{ job_id: foreign }])
  expect(await clean()).toEqual({ destroyedJobsCount: 1, destroyedExecutionsCount: 2, destroyedBatchesCount: 1 })
})

test('discarded jobs and batches stay if the cleanup excludes them [GJ-080]', async () => {
  const discarded = await world.insert({ finished_at: ago(2 * DAY), error: 'StandardError: x' })
  await world.insert({ finished_at: ago(2 * DAY) })
  const batch = await insertBatch({ finished_at: ago(2 * DAY), discarded_at: ago(2 * DAY) })
  await insertBatch({ finished_at: ago(2 * DAY) })
  expect(await clean({ includesDiscarded: false })).toMatchObject({ destroyedJobsCount: 1, destroyedBatchesCount: 1 })
  expect(await world.sql('SELECT id FROM good_jobs')).toEqual([{ id: discarded }])
  expect(await world.sql('SELECT id FROM good_job_batches')).toEqual([{ id: batch }])
  expect(await clean()).toMatchObject({ destroyedJobsCount: 1, destroyedBatchesCount: 1 })
})

test('a batch stays while a member is unfinished, and until it is old enough [GJ-080]', async () => {
  const open = await insertBatch({ finished_at: ago(2 * DAY) })
  await world.insert({ batch_id: open })
  const young = await insertBatch({ finished_at: ago(60) })
  const unfinished = await insertBatch({})
  expect(await clean()).toMatchObject({ destroyedBatchesCount: 0 })
  const left = (await world.sql<{ id: string }>('SELECT id FROM good_job_batches')).map(({ id }) => id)
  expect(left.sort()).toEqual([open, young, unfinished].sort())
})

test('concurrency claims are deleted unless their job is unfinished [GJ-080]', async () => {
  const waiting = await world.insert()
  const finished = await world.insert({ finished_at: ago(5) })
  for (const job of [waiting, finished, randomUUID()])
    await world.sql(
      `INSERT INTO good_job_concurrency_claims (job_id, key, state, created_at, updated_at) VALUES ($1, 'k', 0, $2, $2)`,
      [job, ago(9)],
    )
  await clean()
  expect(await world.sql('SELECT job_id FROM good_job_concurrency_claims')).toEqual([{ job_id: waiting }])
})

test('thousands of jobs are deleted in pages, each reported to onProgress, and an event is emitted at the end [GJ-080]', async () => {
  await world.sql(
    `INSERT INTO good_jobs (active_job_id, job_class, created_at, updated_at, finished_at)
     SELECT gen_random_uuid(), 'EchoJob', now(), now(), (now() AT TIME ZONE 'UTC') - interval '3 days' FROM generate_series(1, 2500)`,
  )
  const announced = next('cleanup_preserved_jobs')
  const progress: number[] = []
  await clean({ onProgress: ({ destroyedJobsCount }) => progress.push(destroyedJobsCount) })
  expect(progress.slice(0, 3)).toEqual([1_000, 2_000, 2_500])
  expect((await announced)[0]).toMatchObject({ destroyedJobsCount: 2_500 })
})

test('a stop request ends a cleanup after the current page', async () => {
  await world.sql(
    `INSERT INTO good_jobs (active_job_id, job_class, created_at, updated_at, finished_at)
     SELECT gen_random_uuid(), 'EchoJob', now(), now(), (now() AT TIME ZONE 'UTC') - interval '3 days' FROM generate_series(1, 1500)`,
  )
  const stop = new AbortController()
  const counts = await cleanupPreservedJobs({
    database: world.adapter.database,
    clock: systemClock,
    olderThanSeconds: DAY,
    includesDiscarded: true,
    signal: stop.signal,
    onProgress: () => stop.abort(),
  })
  expect(counts.destroyedJobsCount).toBe(1_000)
})

test('a worker cleans up after the configured number of jobs', async () => {
  const old = await world.insert({ finished_at: ago(30 * DAY) })
  const EchoJob = jobClass('EchoJob', () => {})
  await using _capsule = await world.start({ jobs: [EchoJob], cleanupIntervalJobs: 2, cleanupIntervalSeconds: 0 })
  const cleaned = next('cleanup_preserved_jobs')
  for (let index = 0; index < 3; index++) await enqueue(EchoJob)
  expect((await cleaned)[0]).toMatchObject({ destroyedJobsCount: 1 })
  expect(await world.sql('SELECT id FROM good_jobs WHERE id = $1', [old])).toEqual([])
})

test.each([
  [
    'after more jobs than the interval',
    { intervalJobs: 2, intervalMs: 0 },
    0,
    [false, false, true, false, false, true],
  ],
  ['after each job with -1', { intervalJobs: -1, intervalMs: 0 }, 0, [true, true]],
  ['never with 0', { intervalJobs: 0, intervalMs: 0 }, 1e9, [false, false, false]],
  ['after more time than the interval', { intervalJobs: 0, intervalMs: 10_000 }, 6_000, [false, true, false, true]],
])('the tracker says %s', (_name, options, stepMs, expected) => {
  let ms = 0
  const tracker = new CleanupTracker({ ...options, clock: { ...systemClock, monotonic: () => ms } })
  const results = expected.map(() => {
    ms += stepMs
    return tracker.increment()
  })
  expect(results).toEqual(expected)
})
