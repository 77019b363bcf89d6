import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { ago, enqueue, jobClass, openWorld, performed, until, type World } from '../support/harness.ts'

const Echo = jobClass('Echo', () => undefined)

let world: World
beforeAll(async () => {
  world = await openWorld()
  await world.sql('ALTER TABLE good_jobs DROP COLUMN lock_type')
  await world.sql('ALTER TABLE good_job_batches DROP COLUMN jobs_finished_at')
  await world.sql('DROP TABLE good_job_concurrency_claims')
})
afterAll(() => world.close())

test('on the tables of GoodJob 4.0 jobs, batches, actions and cleanup work, and migrations that run meanwhile are noticed [GJ-001] [GJ-002] [GJ-003]', async () => {
  await using capsule = await world.start({ jobs: [Echo], cleanupIntervalJobs: -1, batchSweepInterval: 60 })
  await performed(await enqueue(Echo))
  const batch = await Batch.enqueue({ onSuccess: Echo }, () => enqueue(Echo))
  await until(async () => (await batch.reload()).isFinished, 'the batch is finished')
  const waiting = await enqueue(Echo, { wait: 60 })
  await world.adapter.discardJob(waiting)
  expect(await world.adapter.why(waiting)).toMatchObject({ reason: 'discarded', by: 'person' })
  const left = await world.insert({ job_class: 'Left', locked_by_id: randomUUID(), locked_at: ago(0) })
  expect(await world.adapter.why(left)).toMatchObject({ reason: 'abandoned', lockType: null, releasedWithinMinutes: 2 })
  await world.adapter.retryJob(waiting)

  await world.sql('ALTER TABLE good_jobs ADD COLUMN lock_type smallint')
  await world.sql('ALTER TABLE good_job_batches ADD COLUMN jobs_finished_at timestamp(6)')
  world.adapter.database.forgetFacts()
  capsule.adapter.database.forgetFacts()
  expect(await capsule.adapter.database.facts()).toMatchObject({ hasLockType: true, hasJobsFinishedAt: true })
  const later = await Batch.enqueue({ onSuccess: Echo }, () => enqueue(Echo))
  await until(async () => (await later.reload()).isFinished, 'the batch is finished')
  expect(later.jobsFinishedAt).not.toBeNull()
})
