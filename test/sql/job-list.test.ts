import { afterAll, beforeAll, expect, test } from 'vitest'
import { countJobs } from '../../src/sql/jobs/count.ts'
import type { JobFilter } from '../../src/sql/jobs/filter.ts'
import { listJobs } from '../../src/sql/jobs/list.ts'
import { boundedRead, boundedSearch } from '../../src/sql/transaction/bounded-read.ts'
import { columnText } from '../../src/time.ts'
import { openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

/** More than the jobs that one page sorts, and more than one step of a search reads. */
const COMMON = 10_500

beforeAll(async () => {
  await world.sql(
    `INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at, finished_at)
     SELECT id, id, CASE WHEN n = 1 THEN 'RareJob' ELSE 'CommonJob' END, 'common', 0, '{"executions":1}', at, at, at,
       CASE WHEN n % 2 = 1 THEN at + interval '1 minute' END
     FROM (SELECT gen_random_uuid() AS id, n, now() AT TIME ZONE 'UTC' - interval '1 day' + n * interval '1 second' AS at
       FROM generate_series(1, $1::int) AS n) AS job`,
    [COMMON],
  )
  await world.sql('VACUUM ANALYZE good_jobs')
})

const now = columnText(new Date())
const search = (filter: JobFilter, more: { limit?: number; budgetMs?: number } = {}) =>
  boundedRead(world.adapter.database, { timeoutMs: 5_000 }, (db) => listJobs(db, { filter, now, limit: 25, ...more }))

test('a class of few jobs is found by its index, however many others are younger', async () => {
  const { jobs, next, isCut } = await search({ jobClass: 'RareJob' }, { budgetMs: 0 })
  expect(jobs).toMatchObject([{ job_class: 'RareJob', state: 'succeeded' }])
  expect({ next, isCut }).toEqual({ next: undefined, isCut: false })
})

test('future jobs are found by their index, however many others are due', async () => {
  const id = await world.insert({ job_class: 'CommonJob', queue_name: 'common', scheduled_at: '2999-01-01T00:00:00Z' })
  const found = await search({ queueName: 'common', states: ['scheduled', 'retried'] }, { budgetMs: 0 })
  expect(found).toMatchObject({ jobs: [{ id, state: 'scheduled' }], isCut: false })
  await world.sql('DELETE FROM good_jobs WHERE id = $1', [id])
})

test('a search for few among many jobs ends in time, reports its position, and continues from there', async () => {
  const filter: JobFilter = { queueName: 'common', jobClass: 'CommonJob', states: ['retried', 'running'] }
  const cut = await search(filter, { budgetMs: 0 })
  expect(cut).toMatchObject({ jobs: [], isCut: true, next: { id: expect.any(String) } })
  expect(await search(filter)).toEqual({ jobs: [], next: undefined, isCut: false })
})

const count = (filter: JobFilter, more: { limit?: number; budgetMs?: number } = {}) =>
  boundedRead(world.adapter.database, { timeoutMs: 5_000 }, (db) =>
    countJobs(db, { filter, now, limit: 10_000, budgetMs: 60_000, ...more }),
  )

test('a count of few jobs, by an index or by reading all, is exact', async () => {
  expect(await count({ jobClass: 'RareJob' }, { budgetMs: 0 })).toEqual({ jobs: 1, isCapped: false })
  expect(await count({ states: ['queued'] }, { budgetMs: 0 })).toEqual({ jobs: COMMON / 2, isCapped: false })
  expect(await count({ queueName: 'common', states: ['retried', 'running'] })).toEqual({ jobs: 0, isCapped: false })
})

test('a count ends at its limit and in time, and reports that more jobs may exist', async () => {
  const common: JobFilter = { jobClass: 'CommonJob' }
  expect(await count(common)).toEqual({ jobs: 10_000, isCapped: true })
  expect(await count({ states: ['queued'] }, { limit: 100 })).toEqual({ jobs: 100, isCapped: true })
  expect(await count({ queueName: 'common', states: ['retried', 'running'] }, { budgetMs: 0 })).toEqual({
    jobs: 0,
    isCapped: true,
  })
})

test('the pages of a search hold every job once, in order', async () => {
  const seen: string[] = []
  let after: { at: string; id: string } | undefined
  do {
    const { jobs, next } = await boundedRead(world.adapter.database, { timeoutMs: 5_000 }, (db) =>
      listJobs(db, { filter: { states: ['queued'], jobClass: 'CommonJob' }, now, limit: 2_000, after }),
    )
    seen.push(...jobs.map(({ id }) => id))
    after = next
  } while (after !== undefined)
  const rows = await world.sql<{ id: string }>(
    `SELECT id FROM good_jobs WHERE finished_at IS NULL AND job_class = 'CommonJob' ORDER BY created_at DESC, id DESC`,
  )
  expect(seen).toEqual(rows.map(({ id }) => id))
})

test('a listing runs in a read-only transaction, and no statement runs longer than its timeout', async () => {
  const { database } = world.adapter
  const tooLong = boundedRead(database, { timeoutMs: 50 }, (db) => db.query({ text: 'SELECT pg_sleep(5)' }))
  await expect(tooLong).rejects.toMatchObject({ code: '57014' })
  const writing = boundedRead(database, { timeoutMs: 50 }, (db) => db.query({ text: 'DELETE FROM good_jobs' }))
  await expect(writing).rejects.toMatchObject({ code: '25006' })
})

test('a search ends with the statement that takes too long, and returns the jobs found so far', async () => {
  const found: string[] = []
  await boundedSearch(world.adapter.database, async (db) => {
    found.push('before')
    await db.query({ text: 'SELECT pg_sleep(60)' })
    found.push('after')
  })
  expect(found).toEqual(['before'])
})
