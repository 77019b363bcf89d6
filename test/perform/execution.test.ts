import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidJobDataError } from '../../src/errors.ts'
import { Job } from '../../src/job/base.ts'
import type { ExecutionResult } from '../../src/perform/attempt/execution.ts'
import { declareTestedJob, eventNamesDuring, NOW, perform, run, storedJobOf, storedParams } from '../job/fixtures.ts'

class NetworkError extends Error {}

const fail = (error: unknown) => () => {
  throw error
}

const SUCCEEDED = { outcome: 'succeeded', error: null, errorEvent: null, isUnhandled: false, reenqueue: null }

describe('the outcome of an attempt', () => {
  test('is a success whatever perform returns, also an error, false or null [AJ-049]', async () => {
    for (const value of [undefined, 7, false, null, new NetworkError('only a value')]) {
      const TestedJob = declareTestedJob(() => value)
      TestedJob.retryOn(NetworkError)
      expect(await perform(new TestedJob())).toMatchObject(SUCCEEDED)
    }
  })

  test('is event 3 for retryOn, whose re-enqueue holds the counts [GJ-048]', async () => {
    const error = new NetworkError('no')
    const TestedJob = declareTestedJob(fail(error))
    TestedJob.retryOn(NetworkError, { wait: 10, jitter: null })
    const result = await perform(new TestedJob().set({ queue: 'node', priority: 2 }))
    expect(result).toMatchObject({
      outcome: 'retried',
      error: { text: 'NetworkError: no', backtrace: expect.arrayContaining([expect.stringMatching(/^at /)]) },
      errorEvent: 3,
      isUnhandled: false,
      cause: error,
    } satisfies Partial<Record<keyof ExecutionResult, unknown>>)
    expect(result.reenqueue).toMatchObject({
      jobClass: 'TestedJob',
      queueName: 'node',
      priority: 2,
      scheduledAt: new Date(NOW.getTime() + 10_000),
      labels: null,
      notify: true,
    })
    expect(storedParams(result)).toMatchObject({ executions: 1, exception_executions: { '[NetworkError]': 1 } })
  })

  test('is event 3 for a retryJob with an error, although perform returns', async () => {
    const error = new NetworkError('seen')
    const TestedJob = declareTestedJob((job) => job.retryJob({ error, wait: 1 }))
    expect(await perform(new TestedJob())).toMatchObject({
      outcome: 'retried',
      errorEvent: 3,
      cause: error,
      isUnhandled: false,
    })
  })

  test('is a retry without an error for a retryJob without one', async () => {
    const TestedJob = declareTestedJob((job) => job.retryJob({ queue: 'low' }))
    const result = await perform(new TestedJob())
    expect(result).toMatchObject({ outcome: 'retried', error: null, errorEvent: null })
    expect(result.reenqueue).toMatchObject({ queueName: 'low', scheduledAt: null })
  })

  test('is event 5 for discardOn [GJ-050]', async () => {
    const TestedJob = declareTestedJob(fail(new NetworkError('gone')))
    TestedJob.discardOn(NetworkError)
    expect(await perform(new TestedJob())).toMatchObject({
      outcome: 'discarded',
      errorEvent: 5,
      isUnhandled: false,
      reenqueue: null,
    })
  })

  test('is event 4 for used up attempts, unhandled only without a block [GJ-049]', async () => {
    const TestedJob = declareTestedJob(fail(new NetworkError('no')))
    class BlockJob extends TestedJob {}
    TestedJob.retryOn(NetworkError, { attempts: 1 })
    BlockJob.retryOn(NetworkError, { attempts: 1 }, () => {})
    expect(await perform(new TestedJob())).toMatchObject({ outcome: 'retry_stopped', errorEvent: 4, isUnhandled: true })
    expect(await perform(new BlockJob())).toMatchObject({ outcome: 'retry_stopped', errorEvent: 4, isUnhandled: false })
  })

  test('is event 2 for rescueFrom, also when its handler enqueues the job again without an error', async () => {
    const TestedJob = declareTestedJob(fail(new NetworkError('no')))
    TestedJob.rescueFrom(NetworkError, () => {})
    expect(await perform(new TestedJob())).toMatchObject({
      outcome: 'handled',
      errorEvent: 2,
      isUnhandled: false,
      reenqueue: null,
    })
    TestedJob.rescueFrom(NetworkError, (job) => job.retryJob({ wait: 5 }))
    const result = await perform(new TestedJob())
    expect(result).toMatchObject({ outcome: 'handled', errorEvent: 2, reenqueue: { queueName: 'default' } })
  })

  test('is event 3 for a rescueFrom whose handler retries with the error', async () => {
    const TestedJob = declareTestedJob(fail(new NetworkError('no')))
    TestedJob.rescueFrom(NetworkError, (job, error) => job.retryJob({ error }))
    expect(await perform(new TestedJob())).toMatchObject({ outcome: 'retried', errorEvent: 3 })
  })

  test('is event 5 when the job was retried with the error that discards it', async () => {
    const error = new NetworkError('no')
    const TestedJob = declareTestedJob(async (job) => {
      await job.retryJob({ error })
      throw error
    })
    TestedJob.discardOn(NetworkError)
    expect(await perform(new TestedJob())).toMatchObject({ outcome: 'discarded', errorEvent: 5 })
  })

  test('is event 1 for an unhandled error, whatever was enqueued before it [GJ-051]', async () => {
    const TestedJob = declareTestedJob(async (job) => {
      await job.retryJob()
      throw new NetworkError('after all')
    })
    expect(await perform(new TestedJob())).toMatchObject({
      outcome: 'unhandled',
      errorEvent: 1,
      isUnhandled: true,
      reenqueue: null,
    })
  })

  test('is event 0 for a class that raises InterruptError and does not handle it', async () => {
    let isPerformed = false
    const TestedJob = declareTestedJob(() => {
      isPerformed = true
    })
    TestedJob.interruptErrors = true
    const interruptedAt = new Date('2026-01-31T12:00:00.789Z')
    const result = await perform(new TestedJob(), { interruptedAt })
    expect(result).toMatchObject({
      outcome: 'interrupted',
      errorEvent: 0,
      isUnhandled: true,
      error: { text: "GoodJob::InterruptError: Interrupted after starting perform at '2026-01-31 12:00:00 UTC'" },
    })
    expect(isPerformed).toBe(false)
    expect(await perform(new TestedJob())).toMatchObject(SUCCEEDED)
  })

  test('of an interrupted attempt may be a retry; by default the job runs again as usual', async () => {
    const TestedJob = declareTestedJob(() => {})
    expect(await perform(new TestedJob(), { interruptedAt: NOW })).toMatchObject(SUCCEEDED)
    class WatchfulJob extends TestedJob {
      static override interruptErrors = true
    }
    WatchfulJob.retryOn('GoodJob::InterruptError', { wait: 0 })
    expect(await perform(new WatchfulJob(), { interruptedAt: NOW })).toMatchObject({
      outcome: 'retried',
      errorEvent: 3,
    })
  })
})

describe('a row that cannot be made into a job', () => {
  test.each([
    ['no JSON', '{"job_class":'],
    ['null', 'null'],
    ['an array', '[1]'],
    ['a text', '"text"'],
    ['no class', '{"arguments":[]}'],
    ['arguments that are no list', '{"job_class":"TestedJob","arguments":{"0":1}}'],
    ['a text for executions', '{"job_class":"TestedJob","executions":"1"}'],
    ['a list of counters', '{"job_class":"TestedJob","exception_executions":[]}'],
    ['an unreadable time', '{"job_class":"TestedJob","enqueued_at":"yesterday"}'],
  ])('as it has %s is the failure of that row: no event, no handler [AJ-014]', async (_what, serializedParams) => {
    const TestedJob = declareTestedJob(() => {})
    TestedJob.retryOn(Error)
    const seen = await eventNamesDuring(async () => {
      const result = await run({ ...storedJobOf(new TestedJob()), serializedParams })
      expect(result).toMatchObject({ outcome: 'unhandled', errorEvent: 1, isUnhandled: true, reenqueue: null })
      expect(result.error?.text).toMatch(/^\w[\w:]+: /)
    })
    expect(seen).toEqual([])
  })

  test('because it is nested too deeply fails by itself', async () => {
    const TestedJob = declareTestedJob(() => {})
    TestedJob.retryOn(Error)
    const serializedParams = `{"job_class":"TestedJob","arguments":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    const result = await run({ ...storedJobOf(new TestedJob()), serializedParams })
    expect(result).toMatchObject({ outcome: 'unhandled', errorEvent: 1, reenqueue: null })
  })

  test("fails with GoodJob's error class", async () => {
    const TestedJob = declareTestedJob(() => {})
    const result = await run({ ...storedJobOf(new TestedJob()), serializedParams: '[]' })
    expect(result).toMatchObject({ job: null, cause: expect.any(InvalidJobDataError) })
    expect(result.error?.text).toMatch(/^GoodJob::Job::InvalidJobDataError: /)
  })

  test('because its constructor throws fails by itself [AJ-014]', async () => {
    class TouchyJob extends Job {
      readonly first: string
      constructor(...args: unknown[]) {
        super(...args)
        this.first = (args[0] as string).trim()
      }
      perform() {}
    }
    const result = await perform(new TouchyJob(' a '))
    expect(result).toMatchObject({ outcome: 'unhandled', errorEvent: 1, job: null })
  })
})

test('an attempt ends with a value, whatever the row holds and perform throws', async () => {
  const keys = [
    'job_id',
    'queue_name',
    'priority',
    'arguments',
    'executions',
    'exception_executions',
    'locale',
    'timezone',
  ]
  const times = ['enqueued_at', 'scheduled_at', 'continuation', 'resumptions', 'good_job_notify']
  const hash = fc.record(Object.fromEntries([...keys, ...times].map((key) => [key, fc.jsonValue()])), {
    requiredKeys: [],
  })
  const text = fc.oneof(
    fc.json(),
    hash.map((junk) => JSON.stringify({ job_class: 'TestedJob', ...junk })),
  )
  await fc.assert(
    fc.asyncProperty(text, fc.anything({ withNullPrototype: true }), async (serializedParams, thrown) => {
      const TestedJob = declareTestedJob(fail(thrown))
      TestedJob.continuable = true
      TestedJob.retryOn(Error)
      const attempt = { ...storedJobOf(new TestedJob()), serializedParams }
      const { outcome, error, reenqueue } = await run(attempt)
      expect(['retried', 'unhandled']).toContain(outcome)
      expect(error?.text).toMatch(/^[A-Z][\w:]*: /)
      expect(outcome === 'retried').toBe(reenqueue !== null)
    }),
    { numRuns: 300 },
  )
})

describe('a re-enqueue', () => {
  test('is the last one if there are several', async () => {
    const TestedJob = declareTestedJob(async (job) => {
      await job.retryJob({ queue: 'first' })
      await job.enqueue({ queue: 'last', priority: 0 })
    })
    expect((await perform(new TestedJob())).reenqueue).toMatchObject({ queueName: 'last', priority: 0 })
  })

  test('runs the enqueue callbacks and events, and asks no adapter', async () => {
    const log: string[] = []
    const TestedJob = declareTestedJob((job) => job.enqueue())
    TestedJob.afterEnqueue((job) => log.push(`enqueued ${job.successfullyEnqueued}`))
    TestedJob.queueAdapter = {
      name: 'None',
      enqueue: () => Promise.reject(new Error('the adapter was asked')),
      enqueueAll: () => Promise.reject(new Error('the adapter was asked')),
    }
    const seen = await eventNamesDuring(() => perform(new TestedJob()))
    expect(log).toEqual(['enqueued true'])
    expect(seen).toEqual(['perform_start', 'enqueue', 'perform'])
  })

  test('has labels only if they changed and are not empty, and the notify setting of job or class', async () => {
    const TestedJob = declareTestedJob((job, labels) => job.retryJob({ labels: labels as string[] }))
    const labelsAfter = async (labels: string[] | null) =>
      (await perform(new TestedJob(labels), { labels: ['a'] })).reenqueue?.labels
    expect([
      await labelsAfter(null),
      await labelsAfter(['a']),
      await labelsAfter([]),
      await labelsAfter(['b']),
    ]).toEqual([null, null, null, ['b']])
    TestedJob.notify = false
    expect((await perform(new TestedJob(null))).reenqueue?.notify).toBe(false)
    expect((await perform(new TestedJob(null).set({ notify: true }))).reenqueue?.notify).toBe(true)
  })

  test('after the attempt has ended is refused', async () => {
    const TestedJob = declareTestedJob(() => {})
    const { job } = await perform(new TestedJob())
    await expect(job?.enqueue()).rejects.toThrow('after its attempt had ended')
  })
})
