import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { ConfigurationError, EnqueueError, RecordMissingError } from '../../src/errors.ts'
import type { Job } from '../../src/job/base.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { openWorld } from '../support/harness.ts'
import { batchRows, MemberJob, make } from './members.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_batches'))

const { members, callbacks } = batchRows(world)

describe('jobs that already have rows', () => {
  test('become members in Batch.enqueueAll, as in batch.add, and are waited for', async () => {
    const [first, second] = [await make().enqueue(), make()]
    await world.insert({ id: second.jobId, job_class: 'MemberJob' })
    const batches = await Batch.enqueueAll([
      [{ onSuccess: MemberJob }, first as Job],
      [{ onSuccess: MemberJob }, [second, make()]],
    ])
    expect(await Promise.all(batches.map(async (batch) => (await members(batch)).length))).toEqual([1, 2])
    expect(batches.map(({ isFinished }) => isFinished)).toEqual([false, false])
    expect(await callbacks()).toEqual([])
  })

  test('complete the batch at once if they have ended', async () => {
    const job = make()
    await world.insert({ id: job.jobId, job_class: 'MemberJob', finished_at: new Date() })
    const [batch] = await Batch.enqueueAll([[{ onSuccess: MemberJob }, job]])
    expect(batch?.jobsFinishedAt).toBeInstanceOf(Date)
    expect(await callbacks()).toHaveLength(1)
  })

  test('refuse the batch with an error that names them if their rows were deleted meanwhile', async () => {
    const job = (await make().enqueue()) as Job
    await world.sql('DELETE FROM good_jobs')
    for (const enqueue of [() => Batch.enqueue({}, job), () => Batch.enqueueAll([[{}, [job, make()]]])]) {
      await expect(enqueue()).rejects.toThrow(RecordMissingError)
      await expect(enqueue()).rejects.toThrow(`MemberJob ${job.jobId} cannot join batch`)
    }
    expect(await world.sql('SELECT id FROM good_jobs')).toEqual([])
    expect(await world.sql('SELECT id FROM good_job_batches')).toEqual([])
  })

  test('a job that is passed to two batches is refused', async () => {
    const job = make()
    const twice = Batch.enqueueAll([
      [{}, job],
      [{}, [make(), job]],
    ])
    await expect(twice).rejects.toThrow(ConfigurationError)
    await expect(twice).rejects.toThrow(/is given to two batches, .* a job can be a member of only one$/)
    expect(await world.sql('SELECT id FROM good_job_batches')).toEqual([])
  })

  test('a batch whose row was deleted accepts no members', async () => {
    const batch = await new Batch().save()
    await world.sql('DELETE FROM good_job_batches')
    for (const write of [
      () => batch.add(make()),
      () => batch.enqueue(make()),
      () => Batch.enqueueAll([[batch, make()]]),
    ]) {
      await expect(write()).rejects.toThrow(`batch ${batch.id} is gone`)
    }
    expect(await world.sql('SELECT id FROM good_jobs')).toEqual([])
  })

  test('performAllLater throws if some jobs were not stored, and stores the others', async () => {
    const [first, again, other] = [make(), make(), make()]
    await first.enqueue()
    again.jobId = first.jobId
    const all = performAllLater([again, other])
    await expect(all).rejects.toThrow(EnqueueError)
    await expect(all).rejects.toThrow(
      `1 of 2 jobs were not stored, because jobs with their ids exist already: MemberJob ${first.jobId}. The other jobs were stored`,
    )
    expect([again.successfullyEnqueued, other.successfullyEnqueued]).toEqual([false, true])
    expect(await world.sql('SELECT id FROM good_jobs')).toHaveLength(2)
    await performAllLater([make()].flatMap((job) => [job, job]))
  })
})
