import { afterEach, describe, expect, test } from 'vitest'
import { ConfigurationError, EnqueueError, SerializationError } from '../../src/errors.ts'
import { type EventMap, events } from '../../src/events.ts'
import { setDefaultQueueAdapter } from '../../src/job/adapters/queue-adapter.ts'
import { Job } from '../../src/job/base.ts'
import { throwAbort } from '../../src/job/callbacks.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { jobToData } from '../../src/job/serialization.ts'
import { declareMailJob, eventNamesDuring, eventsDuring, NOW, RecordingAdapter } from './fixtures.ts'

describe('performLater', () => {
  test('passes the job to the adapter of its class and returns it', async () => {
    const { MailJob, adapter } = declareMailJob()
    const job = await MailJob.performLater('a', { copies: 2 })
    expect(job).toMatchObject({ arguments: ['a', { copies: 2 }], successfullyEnqueued: true, enqueueError: null })
    expect(adapter.jobs).toEqual([job])
  })

  test('emits enqueue, or enqueue_at with a schedule, after the callbacks', async () => {
    const { MailJob } = declareMailJob()
    MailJob.afterEnqueue(() => events.emit('enqueue_retry', { jobId: 'mark', jobClass: '', queueName: null }))
    expect(await eventNamesDuring(() => MailJob.performLater('a'))).toEqual(['enqueue_retry', 'enqueue'])
    const seen = await eventsDuring(() => MailJob.set({ waitUntil: NOW }).performLater('a'))
    expect(seen.at(-1)).toMatchObject({ name: 'enqueue_at', payload: { scheduledAt: NOW, queueName: 'default' } })
    expect(seen.at(-1)?.payload).not.toHaveProperty('arguments')
  })

  test('passes the transaction on', async () => {
    const { MailJob, adapter } = declareMailJob()
    const transaction = { query: async () => ({ rows: [], rowCount: 0 }) }
    await MailJob.set({ transaction }).performLater('a')
    await MailJob.performLater('a')
    expect(adapter.transactions).toEqual([transaction, undefined])
  })

  test('returns false if a before callback aborts, and does not call the adapter', async () => {
    const { MailJob, adapter } = declareMailJob()
    MailJob.beforeEnqueue(() => throwAbort())
    const seen = await eventsDuring(async () => expect(await MailJob.performLater('a')).toBe(false))
    expect(seen).toMatchObject([{ name: 'enqueue', payload: { aborted: true } }])
    expect(adapter.jobs).toEqual([])
  })

  test('returns false for an EnqueueError, keeps it on the job, and runs after callbacks [AJ-071]', async () => {
    const { MailJob, adapter } = declareMailJob()
    const refusal = new EnqueueError('full')
    adapter.refuse = () => {
      throw refusal
    }
    let seenByAfter: Job | undefined
    MailJob.afterEnqueue((job) => {
      seenByAfter = job
    })
    const seen = await eventsDuring(async () => expect(await MailJob.performLater('a')).toBe(false))
    expect(seenByAfter).toMatchObject({ successfullyEnqueued: false, enqueueError: refusal })
    expect(seen).toMatchObject([{ name: 'enqueue', payload: { error: refusal } }])
    adapter.refuse = () => {}
    expect(await seenByAfter?.enqueue()).toMatchObject({ successfullyEnqueued: true, enqueueError: null })
  })

  test('rejects with every other error of the adapter [AJ-071]', async () => {
    const { MailJob, adapter } = declareMailJob()
    adapter.refuse = (job) => void jobToData(job, { now: NOW, railsVersion: '7.2' })
    const seen = await eventsDuring(() =>
      expect(MailJob.performLater(new Set() as never)).rejects.toThrow(SerializationError),
    )
    expect(seen).toMatchObject([{ name: 'enqueue', payload: { error: expect.any(SerializationError) } }])
  })

  test('enqueues the job built by a chain of set() calls', async () => {
    const { MailJob, adapter } = declareMailJob()
    const job = MailJob.set({ queue: 'low' }).build('a')
    await job.enqueue({ priority: 3 })
    expect(adapter.jobs).toEqual([job])
    expect(job).toMatchObject({ queueName: 'low', priority: 3 })
  })
})

describe('performAllLater', () => {
  test('runs no callbacks and passes each adapter all of its jobs in one call, with one event per adapter [AJ-072]', async () => {
    const one = declareMailJob()
    const two = declareMailJob()
    one.MailJob.beforeEnqueue(() => throwAbort())
    const jobs = [new one.MailJob('a'), new two.MailJob('b'), new one.MailJob('c')] as const
    const seen: EventMap['enqueue_all'][] = []
    const listener = (event: EventMap['enqueue_all']) => seen.push(event)
    events.on('enqueue_all', listener)
    const names = await eventNamesDuring(() => performAllLater([jobs[0], [jobs[1], jobs[2]]]))
    events.off('enqueue_all', listener)
    expect(names).toEqual([])
    expect(one.adapter.bulks).toEqual([[jobs[0], jobs[2]]])
    expect(two.adapter.bulks).toEqual([[jobs[1]]])
    expect(seen).toEqual([
      { jobClasses: { MailJob: 2 }, enqueuedCount: 2, jobCount: 2 },
      { jobClasses: { MailJob: 1 }, enqueuedCount: 1, jobCount: 1 },
    ])
    expect(jobs.every((job) => job.successfullyEnqueued)).toBe(true)
  })

  test('passes the transaction on and clears earlier enqueue errors [AJ-072]', async () => {
    const { MailJob, adapter } = declareMailJob()
    const job = new MailJob('a')
    job.enqueueError = new EnqueueError('full')
    const transaction = { query: async () => ({ rows: [], rowCount: 0 }) }
    await performAllLater([job], { transaction })
    expect(adapter.transactions).toEqual([transaction])
    expect(job.enqueueError).toBeNull()
  })

  test('does nothing for an empty list', async () => {
    await expect(performAllLater([])).resolves.toBeUndefined()
  })
})

describe('the adapter of a class', () => {
  afterEach(() => setDefaultQueueAdapter(() => new RecordingAdapter()))

  test('is its own, that of its nearest superclass, or the default adapter, which is created once', () => {
    let made = 0
    const fallback = new RecordingAdapter()
    setDefaultQueueAdapter(() => {
      made++
      return fallback
    })
    class BaseJob extends Job {
      perform() {}
    }
    class DerivedJob extends BaseJob {}
    expect([DerivedJob.queueAdapter, BaseJob.queueAdapter, Job.queueAdapter]).toEqual([fallback, fallback, fallback])
    expect(made).toBe(1)
    const own = new RecordingAdapter()
    BaseJob.queueAdapter = own
    expect([DerivedJob.queueAdapter, BaseJob.queueAdapter, Job.queueAdapter]).toEqual([own, own, fallback])
  })

  test('is required: without one an error names queueAdapter', () => {
    setDefaultQueueAdapter(() => undefined as never)
    class LonelyJob extends Job {
      perform() {}
    }
    expect(() => LonelyJob.queueAdapter).toThrow(ConfigurationError)
    expect(() => LonelyJob.queueAdapter).toThrow('set Job.queueAdapter')
  })
})
