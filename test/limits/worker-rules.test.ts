import { afterAll, beforeEach, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { next, openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_concurrency_claims'))

test('a rule of the configuration limits every job with the label, whatever its class, and no other job', async () => {
  const running = new Map<string, number>()
  const most = new Map<string, number>()
  const run = async (what: string) => {
    running.set(what, (running.get(what) ?? 0) + 1)
    most.set(what, Math.max(most.get(what) ?? 0, running.get(what) ?? 0))
    await new Promise((resolve) => setImmediate(resolve))
    running.set(what, (running.get(what) ?? 0) - 1)
  }
  class FirstJob extends Job {
    override perform(what: string) {
      return run(what)
    }
  }
  class SecondJob extends FirstJob {}
  const jobs = Array.from({ length: 30 }, (_, index) => {
    const job = index % 2 === 0 ? new FirstJob('limited') : new SecondJob('limited')
    job.labels = ['api', 'more']
    return job
  })
  const others = Array.from({ length: 30 }, () => new FirstJob('free'))
  await performAllLater([...jobs, ...others])
  const done = next('perform_job', 60)
  const concurrency = [{ label: 'api', performLimit: 2 }]
  await using _capsule = await world.start({ jobs: [FirstJob, SecondJob], queues: '*:10', concurrency })
  await done
  expect(most.get('limited')).toBe(2)
  expect(most.get('free')).toBeGreaterThan(2)
})
