import { afterAll, expect, test } from 'vitest'
import { jobClass, next, openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

test('a job that runs again at once is claimed by any free lane as soon as its lock is free', async () => {
  const RUNS = 60
  const AgainJob = jobClass('AgainJob', async (job) => {
    if (job.executions < RUNS) await job.retryJob({ wait: 0 })
  })
  const id = await world.insert({ job_class: 'AgainJob' })
  const runs = next('perform_job', RUNS, ({ jobId }) => jobId === id)
  // Neither a poll nor a NOTIFY finds the job. A lane woken by its outcome may be faster than the lane that releases its lock.
  const options = { lanes: 3, threads: 3, enableListenNotify: false, pollInterval: -1 }
  await using _capsule = await world.start({ jobs: [AgainJob], ...options })
  await runs
  expect(await world.job(id)).toMatchObject({ executions_count: RUNS, error: null })
})
