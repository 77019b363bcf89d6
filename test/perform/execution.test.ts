import { describe, expect, test } from 'vitest'
import { DeserializationError, InvalidJobDataError, RecordNotFoundError } from '../../src/errors.ts'
import { Job } from '../../src/job/base.ts'
import { silentLogger } from '../../src/job/logger.ts'
import { type ExecutionResult, execute } from '../../src/perform/execution.ts'
import {
  attemptOf,
  context,
  eventNamesDuring,
  eventsDuring,
  NOW,
  perform,
  performAll,
  storedParams,
} from '../job/fixtures.ts'

class NetworkError extends Error {}

/** A class whose `perform` is `body`. */
const declareJob = (body: (job: Job, ...args: unknown[]) => unknown) => {
  class TestedJob extends Job {
    async perform(...args: unknown[]) {
      return body(this, ...args)
    }
  }
  return TestedJob
}

const fail = (error: unknown) => () => {
  throw error
}

const SUCCEEDED = { outcome: 'succeeded', error: null, errorEvent: null, isUnhandled: false, reenqueue: null }

describe('the outcome of an attempt', () => {
  test('is a success whatever the body answers, also an error, false or null [AJ-049]', async () => {
    for (const value of [undefined, 7, false, null, new NetworkError('only a value')]) {
      const TestedJob = declareJob(() => value)
      TestedJob.retryOn(NetworkError)
      expect(await perform(new TestedJob())).toMatchObject(SUCCEEDED)
    }
  })

  test('is event 3 for retryOn, whose re-enqueue holds the counts [GJ-048]', async () => {
    const error = new NetworkError('no')
    const TestedJob = declareJob(fail(error))
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

  test('is event 3 for a retryJob with an error, though the body ends well', async () => {
    const error = new NetworkError('seen')
    const TestedJob = declareJob((job) => job.retryJob({ error, wait: 1 }))
    expect(await perform(new TestedJob())).toMatchObject({
      outcome: 'retried',
      errorEvent: 3,
      cause: error,
      isUnhandled: false,
    })
  })

  test('is a retry without an error for a retryJob without one', async () => {
    const TestedJob = declareJob((job) => job.retryJob({ queue: 'low' }))
    const result = await perform(new TestedJob())
    expect(result).toMatchObject({ outcome: 'retried', error: null, errorEvent: null })
    expect(result.reenqueue).toMatchObject({ queueName: 'low', scheduledAt: null })
  })

  test('is event 5 for discardOn [GJ-050]', async () => {
    const TestedJob = declareJob(fail(new NetworkError('gone')))
    TestedJob.discardOn(NetworkError)
    expect(await perform(new TestedJob())).toMatchObject({
      outcome: 'discarded',
      errorEvent: 5,
      isUnhandled: false,
      reenqueue: null,
    })
  })

  test('is event 4 for used up attempts, unhandled only without a block [GJ-049]', async () => {
    const TestedJob = declareJob(fail(new NetworkError('no')))
    class BlockJob extends TestedJob {}
    TestedJob.retryOn(NetworkError, { attempts: 1 })
    BlockJob.retryOn(NetworkError, { attempts: 1 }, () => {})
    expect(await perform(new TestedJob())).toMatchObject({ outcome: 'retry_stopped', errorEvent: 4, isUnhandled: true })
    expect(await perform(new BlockJob())).toMatchObject({ outcome: 'retry_stopped', errorEvent: 4, isUnhandled: false })
  })

  test('is event 2 for rescueFrom, also when its handler enqueues the job again without an error', async () => {
    const TestedJob = declareJob(fail(new NetworkError('no')))
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
    const TestedJob = declareJob(fail(new NetworkError('no')))
    TestedJob.rescueFrom(NetworkError, (job, error) => job.retryJob({ error }))
    expect(await perform(new TestedJob())).toMatchObject({ outcome: 'retried', errorEvent: 3 })
  })

  test('is event 5 when the job was retried with the error that discards it', async () => {
    const error = new NetworkError('no')
    const TestedJob = declareJob(async (job) => {
      await job.retryJob({ error })
      throw error
    })
    TestedJob.discardOn(NetworkError)
    expect(await perform(new TestedJob())).toMatchObject({ outcome: 'discarded', errorEvent: 5 })
  })

  test('is event 1 for an error that nobody handles, whatever was enqueued before it [GJ-051]', async () => {
    const TestedJob = declareJob(async (job) => {
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

  test('is event 0 for a class that wants to know of interruptions and does not handle them', async () => {
    let isPerformed = false
    const TestedJob = declareJob(() => {
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

  test('of an interrupted attempt may be a retry, and is an ordinary run by default', async () => {
    const TestedJob = declareJob(() => {})
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
    const TestedJob = declareJob(() => {})
    TestedJob.retryOn(Error)
    const seen = await eventNamesDuring(async () => {
      const result = await execute({ ...attemptOf(new TestedJob()), serializedParams }, context())
      expect(result).toMatchObject({ outcome: 'unhandled', errorEvent: 1, isUnhandled: true, reenqueue: null })
      expect(result.error?.text).toMatch(/^\w[\w:]+: /)
    })
    expect(seen).toEqual([])
  })

  test('as it nests too deeply is the failure of that row', async () => {
    const TestedJob = declareJob(() => {})
    TestedJob.retryOn(Error)
    const serializedParams = `{"job_class":"TestedJob","arguments":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    const result = await execute({ ...attemptOf(new TestedJob()), serializedParams }, context())
    expect(result).toMatchObject({ outcome: 'unhandled', errorEvent: 1, reenqueue: null })
  })

  test('says so with the error class of GoodJob', async () => {
    const TestedJob = declareJob(() => {})
    const result = await execute({ ...attemptOf(new TestedJob()), serializedParams: '[]' }, context())
    expect(result).toMatchObject({ job: null, cause: expect.any(InvalidJobDataError) })
    expect(result.error?.text).toMatch(/^GoodJob::Job::InvalidJobDataError: /)
  })

  test('as its constructor throws is the failure of that row [AJ-014]', async () => {
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

describe('arguments', () => {
  const unreadable = '"arguments":[{"_aj_serialized":"Unknown::Serializer","value":1.0},9007199254740993]'
  const attemptWith = (job: Job, argumentsText: string) => {
    const attempt = attemptOf(job)
    return { ...attempt, serializedParams: attempt.serializedParams.replace('"arguments":[]', argumentsText) }
  }

  test('that cannot be read go to the handlers, past callbacks and body, and back as they came [AJ-045, AJ-046]', async () => {
    const log: string[] = []
    const TestedJob = declareJob(() => log.push('perform'))
    TestedJob.beforePerform(() => log.push('before'))
    TestedJob.retryOn(DeserializationError, { wait: 1 })
    const seen = await eventNamesDuring(async () => {
      const result = await execute(attemptWith(new TestedJob(), unreadable), context())
      expect(result).toMatchObject({ outcome: 'retried', errorEvent: 3, job: { executions: 1 } })
      expect(result.reenqueue?.serializedParams).toContain(unreadable)
      expect(storedParams(result)).toMatchObject({ exception_executions: { '[ActiveJob::DeserializationError]': 1 } })
    })
    expect(log).toEqual([])
    expect(seen).toEqual(['enqueue_at', 'enqueue_retry', 'perform'])
  })

  test('that cannot be read fail the job when nobody handles that [AJ-046]', async () => {
    const TestedJob = declareJob(() => {})
    const result = await execute(attemptWith(new TestedJob(), unreadable), context())
    expect(result).toMatchObject({ outcome: 'unhandled', errorEvent: 1 })
    expect(result.error?.text).toMatch(
      /^ActiveJob::DeserializationError: Error while trying to deserialize arguments: /,
    )
  })

  test('are found records where they were GlobalIDs, and GlobalIDs again in a retry', async () => {
    const seen: unknown[] = []
    const TestedJob = declareJob((_job, ...args) => {
      seen.push(...args)
      throw new NetworkError('no')
    })
    TestedJob.retryOn(NetworkError)
    const text = '"arguments":[{"_aj_globalid":"gid://shop/Person/1"},[{"_aj_globalid":"gid://shop/Person/2"}]]'
    const locate = async (gid: { toString(): string }) => ({ found: gid.toString() })
    const result = await execute(attemptWith(new TestedJob(), text), context({ locate }))
    expect(seen).toEqual([{ found: 'gid://shop/Person/1' }, [{ found: 'gid://shop/Person/2' }]])
    expect(result.reenqueue?.serializedParams).toContain(text)
  })

  test('whose record is gone are a DeserializationError, and go back as they came [AJ-046]', async () => {
    const TestedJob = declareJob(() => {})
    TestedJob.retryOn(DeserializationError)
    const text = '"arguments":[{"_aj_globalid":"gid://shop/Person/1"}]'
    for (const error of [new Error('connection lost'), new RecordNotFoundError('Person 1')]) {
      const result = await execute(attemptWith(new TestedJob(), text), context({ locate: () => Promise.reject(error) }))
      expect(result).toMatchObject({ outcome: 'retried', cause: expect.any(DeserializationError) })
      expect(result.reenqueue?.serializedParams).toContain(text)
    }
  })

  test('that are keywords come last, and nothing comes for keywords without a key', async () => {
    const seen: unknown[] = []
    const TestedJob = declareJob((_job, ...args) => seen.push(args))
    await execute(attemptWith(new TestedJob(), '"arguments":[1,{"b":2,"_aj_ruby2_keywords":["b"]}]'), context())
    await execute(attemptWith(new TestedJob(), '"arguments":[1,{"_aj_ruby2_keywords":[]}]'), context())
    expect(seen).toEqual([[1, { b: 2 }], [1]])
  })

  test('that a body made impossible to write fail the retry with its own error', async () => {
    const TestedJob = declareJob((job) => {
      job.arguments.push(new Set())
      throw new NetworkError('no')
    })
    TestedJob.retryOn(NetworkError)
    const result = await perform(new TestedJob())
    expect(result).toMatchObject({ outcome: 'unhandled', errorEvent: 1, reenqueue: null })
    expect(result.error?.text).toMatch(/^ActiveJob::SerializationError: /)
  })
})

describe('what a running job sees', () => {
  test('is its run, from 1, and the id of its row [AJ-016, AJ-045]', async () => {
    const seen: unknown[] = []
    const TestedJob = declareJob(({ executions, providerJobId, jobId }) =>
      seen.push({ executions, providerJobId, jobId }),
    )
    const job = new TestedJob()
    await perform(job)
    expect(seen).toEqual([{ executions: 1, providerJobId: job.jobId, jobId: job.jobId }])
  })

  test('is what only the row knows: labels, concurrency key, batch', async () => {
    const seen: unknown[] = []
    const TestedJob = declareJob(({ labels, concurrencyKey, batch }) => seen.push({ labels, concurrencyKey, batch }))
    TestedJob.labels = ['of the class']
    const batch = { id: 'b' }
    await perform(new TestedJob(), { labels: ['of the row'], concurrencyKey: 'key', batch })
    await perform(new TestedJob())
    expect(seen).toEqual([
      { labels: ['of the row'], concurrencyKey: 'key', batch },
      { labels: [], concurrencyKey: null, batch: null },
    ])
  })

  test('is a child logger, made when it is first asked for', async () => {
    const children: unknown[] = []
    const logger = {
      ...silentLogger,
      child: (bindings: object) => {
        children.push(bindings)
        return silentLogger
      },
    }
    const quiet = declareJob(() => {})
    const TestedJob = declareJob((job) => {
      job.logger.info('one')
      job.logger.info('two')
    })
    await perform(new quiet(), {}, { logger })
    expect(children).toEqual([])
    const job = new TestedJob('secret')
    await perform(job, {}, { logger })
    expect(children).toEqual([{ jobId: job.jobId, jobClass: 'TestedJob', queueName: 'default', executions: 1 }])
  })

  test('is a signal that follows that of the worker, and leaves no listener on it', async () => {
    const reasons: unknown[] = []
    const worker = new AbortController()
    const TestedJob = declareJob(async ({ signal }) => {
      expect(signal.aborted).toBe(false)
      worker.abort('stop now')
      reasons.push(signal.reason)
    })
    await perform(new TestedJob(), {}, { signal: worker.signal })
    await perform(declareAndRead(reasons), {}, { signal: worker.signal })
    expect(reasons).toEqual(['stop now', 'stop now'])
  })

  const declareAndRead = (reasons: unknown[]) => {
    const TestedJob = declareJob(({ signal }) => reasons.push(signal.reason))
    return new TestedJob()
  }

  test('is in its events together with the process that runs it', async () => {
    const TestedJob = declareJob(() => {})
    const job = new TestedJob('secret')
    const seen = await eventsDuring(() => perform(job, {}, { processId: 'p' }))
    expect(seen.map(({ name, payload }) => ({ name, ...payload }))).toEqual([
      {
        name: 'perform_start',
        jobId: job.jobId,
        jobClass: 'TestedJob',
        queueName: 'default',
        executions: 1,
        processId: 'p',
      },
      {
        name: 'perform',
        jobId: job.jobId,
        jobClass: 'TestedJob',
        queueName: 'default',
        executions: 1,
        processId: 'p',
        durationMs: 0,
      },
    ])
  })

  test('is its own locale and zone, which a retry keeps [AJ-086, AJ-087]', async () => {
    const seen: unknown[] = []
    const TestedJob = declareJob(({ locale, timezone, ianaTimeZone }) => {
      seen.push({ locale, timezone, ianaTimeZone })
      throw new NetworkError('no')
    })
    TestedJob.retryOn(NetworkError, { attempts: 2 })
    const job = new TestedJob()
    job.locale = 'pt-BR'
    job.timezone = 'Astana'
    const [first] = await performAll(job, { railsVersion: '7.1' })
    await performAll(job, { railsVersion: '7.2' })
    expect(first && storedParams(first)).toMatchObject({ locale: 'pt-BR', timezone: 'Astana' })
    const dhaka = { locale: 'pt-BR', timezone: 'Astana', ianaTimeZone: 'Asia/Dhaka' }
    const almaty = { ...dhaka, ianaTimeZone: 'Asia/Almaty' }
    expect(seen).toEqual([dhaka, dhaka, almaty, almaty])
  })
})

describe('a re-enqueue', () => {
  test('is the last one when there are several', async () => {
    const TestedJob = declareJob(async (job) => {
      await job.retryJob({ queue: 'first' })
      await job.enqueue({ queue: 'last', priority: 0 })
    })
    expect((await perform(new TestedJob())).reenqueue).toMatchObject({ queueName: 'last', priority: 0 })
  })

  test('runs the enqueue callbacks and events, and asks no adapter', async () => {
    const log: string[] = []
    const TestedJob = declareJob((job) => job.enqueue())
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

  test('has labels only when they changed to some, and the notify of job or class', async () => {
    const TestedJob = declareJob((job, labels) => job.retryJob({ labels: labels as string[] }))
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
    const TestedJob = declareJob(() => {})
    const { job } = await perform(new TestedJob())
    await expect(job?.enqueue()).rejects.toThrow('after its attempt had ended')
  })
})
