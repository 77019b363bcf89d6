import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type CleanupOptions, CleanupTracker, cleanupPreservedJobs } from '../../src/maintenance/cleanup.ts'
import { type Clock, systemClock } from '../../src/time.ts'
import { ago, enqueue, jobClass, next, openWorld, type World } from '../support/harness.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches, good_job_concurrency_claims'))

const cleanUp = (options: Partial<CleanupOptions> = {}) =>
  cleanupPreservedJobs({
    database: world.adapter.database,
    clock: systemClock,
    olderThanSeconds: 100,
    includesDiscarded: true,
    ...options,
  })

const batch = (age: number, discarded = false) =>
  world.sql<{ id: string }>(
    `INSERT INTO good_job_batches (id, created_at, updated_at, finished_at, discarded_at) VALUES (gen_random_uuid(), now(), now(), $1, $2) RETURNING id`,
    [ago(age), discarded ? ago(age) : null],
  )

test('old finished jobs, their executions, stale claims and old finished batches go; the rest stays [GJ-080]', async () => {
  const old = await world.insert({ finished_at: ago(200) })
  const withoutActiveJobId = await world.insert({ active_job_id: null })
  const [young, waiting] = [await world.insert({ finished_at: ago(50) }), await world.insert({})]
  for (const id of [old, young]) {
    await world.sql(
      'INSERT INTO good_job_executions (id, active_job_id, created_at, updated_at) VALUES (gen_random_uuid(), $1, now(), now())',
      [id],
    )
  }
  for (const id of [old, waiting]) {
    await world.sql(
      `INSERT INTO good_job_concurrency_claims (job_id, key, state, created_at, updated_at) VALUES ($1, 'key:x', 0, now(), now())`,
      [id],
    )
  }
  await batch(200)
  await batch(50)
  const [underWay] = await batch(200)
  await world.insert({ batch_id: underWay?.id })
  const told = next('cleanup_preserved_jobs')
  expect(await cleanUp()).toEqual({ destroyedJobsCount: 1, destroyedExecutionsCount: 1, destroyedBatchesCount: 1 })
  expect((await told)[0]).toMatchObject({ destroyedJobsCount: 1 })
  const ids = (await world.sql<{ id: string }>('SELECT id FROM good_jobs')).map(({ id }) => id)
  expect(ids).toEqual(expect.arrayContaining([young, waiting, withoutActiveJobId]))
  expect(ids).not.toContain(old)
  expect(await world.sql('SELECT job_id FROM good_job_concurrency_claims')).toEqual([{ job_id: waiting }])
  expect(await world.sql('SELECT id FROM good_job_batches WHERE id = $1', [underWay?.id])).toHaveLength(1)
})

test('discarded jobs and batches stay when they are to be kept [GJ-080]', async () => {
  await world.insert({ finished_at: ago(200), error: 'X: y' })
  await batch(200, true)
  expect(await cleanUp({ includesDiscarded: false })).toMatchObject({ destroyedJobsCount: 0, destroyedBatchesCount: 0 })
  expect(await cleanUp()).toMatchObject({ destroyedJobsCount: 1, destroyedBatchesCount: 1 })
})

test('thousands go in pages, each told', async () => {
  await world.sql(
    `INSERT INTO good_jobs (id, active_job_id, created_at, updated_at, finished_at)
     SELECT id, id, now(), now(), now() AT TIME ZONE 'UTC' - interval '1 hour' FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 2500)) AS new`,
  )
  const progress: number[] = []
  await cleanUp({ onProgress: ({ destroyedJobsCount }) => progress.push(destroyedJobsCount) })
  expect(progress.slice(0, 3)).toEqual([1_000, 2_000, 2_500])
})

test('a worker cleans up after so many jobs', async () => {
  await world.insert({ id: randomUUID(), finished_at: ago(200) })
  const Echo = jobClass('Echo', () => undefined)
  await using _capsule = await world.start({
    jobs: [Echo],
    cleanupIntervalJobs: -1,
    cleanupPreservedJobsBeforeSecondsAgo: 100,
  })
  const told = next('cleanup_preserved_jobs')
  await enqueue(Echo)
  expect((await told)[0]).toMatchObject({ destroyedJobsCount: 1 })
})

test('it is time after more than so many jobs, or so many seconds; -1 is after each, 0 never', () => {
  let ms = 0
  const clock: Clock = { ...systemClock, monotonic: () => ms }
  const times = (intervalJobs: number, intervalSeconds: number, jobs: number, stepMs: number): number => {
    const tracker = new CleanupTracker({ intervalJobs, intervalSeconds, clock })
    let due = 0
    for (let job = 0; job < jobs; job++) {
      ms += stepMs
      if (tracker.increment()) due += 1
    }
    return due
  }
  expect(times(3, 0, 8, 0)).toBe(2)
  expect(times(0, 10, 8, 4_000)).toBe(2)
  expect(times(-1, 0, 5, 0)).toBe(5)
  expect(times(0, 0, 5_000, 60_000)).toBe(0)
})
