import { describe, expect, test } from 'vitest'
import { EnqueueError } from '../../src/errors.ts'
import { InlineAdapter } from '../../src/job/adapters/inline-adapter.ts'
import { Job } from '../../src/job/base.ts'
import { currentEnqueueContext, withEnqueueContext } from '../../src/job/context.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'

const declareJob = (log: unknown[], perform: (job: Job) => unknown = () => {}) => {
  class EchoJob extends Job {
    async perform(...args: unknown[]) {
      log.push(args)
      await perform(this)
    }
  }
  EchoJob.queueAdapter = new InlineAdapter()
  return EchoJob
}

describe('the inline adapter', () => {
  test('runs the job inside performLater, with arguments that were serialized and deserialized', async () => {
    const log: unknown[] = []
    const EchoJob = declareJob(log)
    const list = [1]
    const job = await EchoJob.performLater(list, { a: 2n ** 70n })
    expect(log).toEqual([[[1], { a: 2n ** 70n }]])
    expect((log[0] as unknown[])[0]).not.toBe(list)
    expect(job).toMatchObject({ executions: 0, successfullyEnqueued: true })
  })

  test('rejects with the unhandled error of the job', async () => {
    const EchoJob = declareJob([], () => {
      throw new RangeError('no')
    })
    await expect(EchoJob.performLater()).rejects.toThrow(RangeError)
  })

  test('refuses scheduled jobs, and a job that is retried fails', async () => {
    const log: unknown[] = []
    const EchoJob = declareJob(log, () => {
      throw new RangeError('no')
    })
    EchoJob.retryOn(RangeError)
    await expect(EchoJob.set({ wait: 1 }).performLater()).rejects.toThrow(/InlineAdapter cannot run EchoJob at/)
    expect(log).toEqual([])
    await expect(EchoJob.performLater()).rejects.toThrow(/InlineAdapter cannot run EchoJob at/)
    expect(log).toEqual([[]])
  })

  test('runs several jobs one after the other, and keeps the enqueue error of one', async () => {
    const log: unknown[] = []
    const EchoJob = declareJob(log, (job) => {
      if (job.arguments[0] === 2) throw new EnqueueError('nested queue is full')
    })
    const jobs = [new EchoJob(1), new EchoJob(2), new EchoJob(3)]
    await performAllLater(jobs)
    expect(log).toEqual([[1], [2], [3]])
    expect(jobs.map((job) => job.successfullyEnqueued)).toEqual([true, false, true])
    expect(jobs[1]?.enqueueError?.message).toBe('nested queue is full')
  })

  test('keeps the enqueue context of the caller from the job [GJ-070]', async () => {
    const seen: unknown[] = []
    const EchoJob = declareJob([], () => seen.push(currentEnqueueContext()))
    await withEnqueueContext({ batchId: 'b' }, () => EchoJob.performLater())
    expect(seen).toEqual([{}])
  })

  test('passes the labels and options of the enqueued job to the job that runs', async () => {
    const seen: unknown[] = []
    const EchoJob = declareJob([], ({ labels, queueName, priority, jobId }) =>
      seen.push({ labels, queueName, priority, jobId }),
    )
    const job = await EchoJob.set({ labels: ['a'], queue: 'low', priority: 3 }).performLater()
    expect(seen).toEqual([{ labels: ['a'], queueName: 'low', priority: 3, jobId: job ? job.jobId : undefined }])
  })
})
