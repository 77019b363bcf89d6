import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { next, openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_concurrency_claims'))

/** Counts how many of its jobs run at the same time. */
class Ledger {
  running = 0
  most = 0
  readonly order: unknown[] = []

  async run(value: unknown): Promise<void> {
    this.running += 1
    this.most = Math.max(this.most, this.running)
    this.order.push(value)
    await new Promise((resolve) => setImmediate(resolve))
    this.running -= 1
  }
}

describe('performLimit', () => {
  test.each([1, 3])('never runs more than %i jobs of a key at once, in their order', async (performLimit) => {
    const ledger = new Ledger()
    class KeyJob extends Job {
      static {
        this.controlConcurrencyWith({ key: 'k', performLimit })
      }
      override perform(number: number) {
        return ledger.run(number)
      }
    }
    const jobs = Array.from({ length: 200 }, (_, index) => new KeyJob(index))
    await performAllLater(jobs)
    await world.sql(
      `UPDATE good_jobs SET created_at = created_at + (serialized_params->'arguments'->>0)::int * interval '1 millisecond'`,
    )
    const done = next('perform_job', jobs.length)
    await using _capsule = await world.start({ jobs: [KeyJob], queues: '*:10' })
    await done

    expect(ledger.most).toBe(performLimit)
    expect(ledger.order).toEqual(jobs.map((_, index) => index))
    const rows = await world.sql('SELECT executions_count, error FROM good_jobs')
    expect(rows).toEqual(jobs.map(() => ({ executions_count: 1, error: null })))
    expect(await world.sql('SELECT * FROM good_job_concurrency_claims')).toEqual([])
  })
})
