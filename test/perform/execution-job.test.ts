import { describe, expect, test } from 'vitest'
import { DeserializationError, RecordNotFoundError } from '../../src/errors.ts'
import type { Job } from '../../src/job/base.ts'
import { silentLogger } from '../../src/job/logger.ts'
import {
  declareTestedJob,
  eventNamesDuring,
  eventsDuring,
  perform,
  performAll,
  run,
  storedJobOf,
  storedParams,
} from '../job/fixtures.ts'

class NetworkError extends Error {}

describe('the arguments of a job', () => {
  const unreadable = '"arguments":[{"_aj_serialized":"Unknown::Serializer","value":1.0},9007199254740993]'
  const attemptWith = (job: Job, argumentsText: string) => {
    const attempt = storedJobOf(job)
    return { ...attempt, serializedParams: attempt.serializedParams.replace('"arguments":[]', argumentsText) }
  }

  test('are kept as stored if they cannot be deserialized: the handlers run, callbacks and perform do not [AJ-045, AJ-046]', async () => {
    const log: string[] = []
    const TestedJob = declareTestedJob(() => log.push('perform'))
    TestedJob.beforePerform(() => log.push('before'))
    TestedJob.retryOn(DeserializationError, { wait: 1 })
    const seen = await eventNamesDuring(async () => {
      const result = await run(attemptWith(new TestedJob(), unreadable))
      expect(result).toMatchObject({ outcome: 'retried', errorEvent: 3, job: { executions: 1 } })
      expect(result.reenqueue?.serializedParams).toContain(unreadable)
      expect(storedParams(result)).toMatchObject({ exception_executions: { '[ActiveJob::DeserializationError]': 1 } })
    })
    expect(log).toEqual([])
    expect(seen).toEqual(['enqueue_at', 'enqueue_retry', 'perform'])
  })

  test('fail the job if they cannot be deserialized and no handler is declared [AJ-046]', async () => {
    const TestedJob = declareTestedJob(() => {})
    const result = await run(attemptWith(new TestedJob(), unreadable))
    expect(result).toMatchObject({ outcome: 'unhandled', errorEvent: 1 })
    expect(result.error?.text).toMatch(
      /^ActiveJob::DeserializationError: Error while trying to deserialize arguments: /,
    )
  })

  test('hold the located records in place of GlobalIDs, and GlobalIDs again in a retry', async () => {
    const seen: unknown[] = []
    const TestedJob = declareTestedJob((_job, ...args) => {
      seen.push(...args)
      throw new NetworkError('no')
    })
    TestedJob.retryOn(NetworkError)
    const text = '"arguments":[{"_aj_globalid":"gid://shop/Person/1"},[{"_aj_globalid":"gid://shop/Person/2"}]]'
    const locate = async (gid: { toString(): string }) => ({ found: gid.toString() })
    const result = await run(attemptWith(new TestedJob(), text), { locate })
    expect(seen).toEqual([{ found: 'gid://shop/Person/1' }, [{ found: 'gid://shop/Person/2' }]])
    expect(result.reenqueue?.serializedParams).toContain(text)
  })

  test('lead to a DeserializationError if a record is missing, and are kept as stored [AJ-046]', async () => {
    const TestedJob = declareTestedJob(() => {})
    TestedJob.retryOn(DeserializationError)
    const text = '"arguments":[{"_aj_globalid":"gid://shop/Person/1"}]'
    for (const error of [new Error('connection lost'), new RecordNotFoundError('Person 1')]) {
      const result = await run(attemptWith(new TestedJob(), text), { locate: () => Promise.reject(error) })
      expect(result).toMatchObject({ outcome: 'retried', cause: expect.any(DeserializationError) })
      expect(result.reenqueue?.serializedParams).toContain(text)
    }
  })

  test('end with the keywords as one object, and without one if there are no keywords', async () => {
    const seen: unknown[] = []
    const TestedJob = declareTestedJob((_job, ...args) => seen.push(args))
    await run(attemptWith(new TestedJob(), '"arguments":[1,{"b":2,"_aj_ruby2_keywords":["b"]}]'))
    await run(attemptWith(new TestedJob(), '"arguments":[1,{"_aj_ruby2_keywords":[]}]'))
    expect(seen).toEqual([[1, { b: 2 }], [1]])
  })

  test('fail the retry with its own error if perform made them impossible to serialize', async () => {
    const TestedJob = declareTestedJob((job) => {
      job.arguments.push(new Set())
      throw new NetworkError('no')
    })
    TestedJob.retryOn(NetworkError)
    const result = await perform(new TestedJob())
    expect(result).toMatchObject({ outcome: 'unhandled', errorEvent: 1, reenqueue: null })
    expect(result.error?.text).toMatch(/^ActiveJob::SerializationError: /)
  })
})

describe('the job that perform sees', () => {
  test('has the number of its run, from 1, and the id of its row [AJ-016, AJ-045]', async () => {
    const seen: unknown[] = []
    const TestedJob = declareTestedJob(({ executions, providerJobId, jobId }) =>
      seen.push({ executions, providerJobId, jobId }),
    )
    const job = new TestedJob()
    await perform(job)
    expect(seen).toEqual([{ executions: 1, providerJobId: job.jobId, jobId: job.jobId }])
  })

  test('has the values that only the row holds: labels, concurrency key, batch', async () => {
    const seen: unknown[] = []
    const TestedJob = declareTestedJob(({ labels, concurrencyKey, batch }) =>
      seen.push({ labels, concurrencyKey, batch }),
    )
    TestedJob.labels = ['of the class']
    const batch = { id: 'b' }
    await perform(new TestedJob(), { labels: ['of the row'], concurrencyKey: 'key', batch })
    await perform(new TestedJob())
    expect(seen).toEqual([
      { labels: ['of the row'], concurrencyKey: 'key', batch },
      { labels: [], concurrencyKey: null, batch: null },
    ])
  })

  test('has a child logger, created at first use', async () => {
    const children: unknown[] = []
    const logger = {
      ...silentLogger,
      child: (bindings: object) => {
        children.push(bindings)
        return silentLogger
      },
    }
    const quiet = declareTestedJob(() => {})
    const TestedJob = declareTestedJob((job) => {
      job.logger.info('one')
      job.logger.info('two')
    })
    await perform(new quiet(), {}, { logger })
    expect(children).toEqual([])
    const job = new TestedJob('secret')
    await perform(job, {}, { logger })
    expect(children).toEqual([{ jobId: job.jobId, jobClass: 'TestedJob', queueName: 'default', executions: 1 }])
  })

  test("has a signal that follows the worker's signal, and leaves no listener on it", async () => {
    const reasons: unknown[] = []
    const worker = new AbortController()
    const TestedJob = declareTestedJob(async ({ signal }) => {
      expect(signal.aborted).toBe(false)
      worker.abort('stop now')
      reasons.push(signal.reason)
    })
    await perform(new TestedJob(), {}, { signal: worker.signal })
    await perform(declareAndRead(reasons), {}, { signal: worker.signal })
    expect(reasons).toEqual(['stop now', 'stop now'])
  })

  const declareAndRead = (reasons: unknown[]) => {
    const TestedJob = declareTestedJob(({ signal }) => reasons.push(signal.reason))
    return new TestedJob()
  }

  test('is part of its events, together with the process that runs it', async () => {
    const TestedJob = declareTestedJob(() => {})
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

  test('has its own locale and time zone, which a retry keeps [AJ-086, AJ-087]', async () => {
    const seen: unknown[] = []
    const TestedJob = declareTestedJob(({ locale, timezone, ianaTimeZone }) => {
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
