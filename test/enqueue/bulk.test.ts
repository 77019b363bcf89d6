import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import type { CallerTransaction } from '../../src/job/adapters/queue-adapter.ts'
import { Bulk } from '../../src/job/bulk.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { jobClass, openWorld, record } from '../support/harness.ts'
import { controlled } from './limited-classes.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs'))

const stored = () => world.sql('SELECT id FROM good_jobs')

describe('performAllLater', () => {
  test('E36 checks no rule, as in Ruby', async () => {
    const LimitedJob = controlled({ key: 'mail', totalLimit: 1 })
    await performAllLater([new LimitedJob(), new LimitedJob()])
    expect(await world.sql('SELECT concurrency_key FROM good_jobs')).toEqual([
      { concurrency_key: 'mail' },
      { concurrency_key: 'mail' },
    ])
  })
})

describe('Bulk.enqueue', () => {
  test('counts once, stores the first jobs of the list up to the limit, and tells which jobs were refused', async () => {
    const LimitedJob = controlled({ key: 'mail', totalLimit: 2 })
    const FreeJob = jobClass('FreeJob', () => {})
    const jobs = [new LimitedJob(), new FreeJob(), new LimitedJob(), new LimitedJob(), new FreeJob()]
    const bulks = record('enqueue_all')
    const refusals = record('enqueue_concurrency_limit_exceeded')
    expect(await Bulk.enqueue(jobs)).toEqual(jobs)
    bulks.stop()
    refusals.stop()
    expect(jobs.map((job) => job.successfullyEnqueued)).toEqual([true, true, true, false, true])
    expect(jobs[3]?.enqueueError).toMatchObject({ key: 'key:mail', limit: 2 })
    expect(refusals.seen.map(({ jobId }) => jobId)).toEqual([jobs[3]?.jobId])
    expect(bulks.seen).toEqual([expect.objectContaining({ jobCount: 5, enqueuedCount: 4 })])
    expect(await stored()).toHaveLength(4)
  })

  test("counts in the caller's transaction", async () => {
    const LimitedJob = controlled({ key: 'mail', totalLimit: 1 })
    const client = await world.database.connect()
    await client.query('BEGIN')
    const jobs = await Bulk.enqueue([[new LimitedJob(), new LimitedJob()]], { transaction: client })
    await client.query('COMMIT')
    await client.end()
    expect(jobs.map((job) => job.successfullyEnqueued)).toEqual([true, false])
    expect(await stored()).toHaveLength(1)
  })

  test('of jobs without rules is one statement', async () => {
    const client = await world.database.connect()
    await client.query('BEGIN')
    let statements = 0
    const query: CallerTransaction['query'] = (text, values) => {
      statements += 1
      return client.query(text, values)
    }
    const FreeJob = jobClass('FreeJob', () => {})
    await Bulk.enqueue([new FreeJob(), new FreeJob()], { transaction: { query } })
    await client.query('COMMIT')
    await client.end()
    expect(statements).toBe(1)
  })
})
