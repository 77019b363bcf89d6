import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import { Job } from '../../src/job/base.ts'
import type { RetryOnOptions } from '../../src/job/exceptions/exceptions.ts'
import { declareFailingJob, NOW, perform, performAll, storedParams } from './fixtures.ts'

class NetworkError extends Error {}
class TimeoutError extends NetworkError {}
class QuotaError extends Error {}

const waitOf = (result: { reenqueue: { scheduledAt: Date | null } | null }): number =>
  ((result.reenqueue?.scheduledAt?.getTime() ?? Number.NaN) - NOW.getTime()) / 1000

describe('retryOn counts', () => {
  test('under the text of the declared list, not the class of the error [AJ-056]', async () => {
    const FailingJob = declareFailingJob([NetworkError, QuotaError], {}, () => new TimeoutError('slow'))
    const result = await perform(new FailingJob())
    expect(storedParams(result).exception_executions).toEqual({ '[NetworkError, QuotaError]': 1 })
  })

  test('under quoted names if the declaration has strings, as in Ruby [AJ-056]', async () => {
    const FailingJob = declareFailingJob(['NetworkError', QuotaError], {}, () => new TimeoutError('slow'))
    const result = await perform(new FailingJob())
    expect(storedParams(result).exception_executions).toEqual({ '["NetworkError", QuotaError]': 1 })
  })

  test('under the key of the declaration if it has one [AJ-056]', async () => {
    const FailingJob = declareFailingJob(NetworkError, { key: '["Net::OpenTimeout"]' }, () => new TimeoutError('slow'))
    const result = await perform(new FailingJob())
    expect(storedParams(result).exception_executions).toEqual({ '["Net::OpenTimeout"]': 1 })
  })

  test('under the Ruby names of classes that have one [AJ-056]', async () => {
    class GatewayError extends Error {
      static rubyName = 'Billing::GatewayError'
    }
    const FailingJob = declareFailingJob([Error, GatewayError, RangeError], {}, () => new Error('any'))
    const result = await perform(new FailingJob())
    expect(storedParams(result).exception_executions).toEqual({
      '[StandardError, Billing::GatewayError, RangeError]': 1,
    })
  })

  test('each declaration separately, while executions counts all runs [AJ-058]', async () => {
    const errors = [new NetworkError('1'), new QuotaError('2'), new NetworkError('3'), new NetworkError('4')]
    class FailingJob extends Job {
      static {
        this.retryOn(NetworkError, { attempts: 3 })
        this.retryOn(QuotaError, { attempts: 2 })
      }
      perform() {
        throw errors[this.executions - 1]
      }
    }
    const results = await performAll(new FailingJob())
    expect(results.map(({ outcome }) => outcome)).toEqual(['retried', 'retried', 'retried', 'retry_stopped'])
    expect(results[2] && storedParams(results[2])).toMatchObject({
      executions: 3,
      exception_executions: { '[NetworkError]': 2, '[QuotaError]': 1 },
    })
  })

  test("on from Ruby's count, so one failure in Ruby and two in Node stop at three [AJ-056, AJ-057]", async () => {
    const FailingJob = declareFailingJob(NetworkError, { attempts: 3 }, () => new NetworkError('no'))
    const job = new FailingJob()
    job.executions = 1
    job.exceptionExecutions = { '[NetworkError]': 1 }
    const results = await performAll(job)
    expect(results.map(({ outcome }) => outcome)).toEqual(['retried', 'retry_stopped'])
  })

  test('without changing other keys of the hash [AJ-082]', async () => {
    const FailingJob = declareFailingJob(NetworkError, {}, () => new NetworkError('no'))
    const job = new FailingJob()
    const foreign = { "Interrupted at 'import', cursor '42' (stopping)": 1, '[EA]': 7, boom: 2 }
    job.exceptionExecutions = { ...foreign }
    const result = await perform(job)
    expect(storedParams(result).exception_executions).toEqual({ ...foreign, '[NetworkError]': 1 })
  })

  test('all runs if the hash has no counters, which then stay null [AJ-059]', async () => {
    const FailingJob = declareFailingJob(NetworkError, { attempts: 3 }, () => new NetworkError('no'))
    const job = new FailingJob()
    job.exceptionExecutions = null
    job.executions = 1
    const results = await performAll(job)
    expect(results.map(({ outcome }) => outcome)).toEqual(['retried', 'retry_stopped'])
    expect(results[0] && storedParams(results[0])).toMatchObject({ executions: 2, exception_executions: null })
  })

  test('with a warning if two declarations share a counter because their error classes have the same name', async () => {
    const twins = [class DoubleError extends Error {}, class DoubleError extends Error {}] as const
    // Node emits warnings at the next tick: those of earlier tests have been emitted by then.
    await new Promise((resolve) => setImmediate(resolve))
    const warned: string[] = []
    const listener = (warning: Error) => warned.push(warning.message)
    process.on('warning', listener)
    class FailingJob extends Job {
      static {
        this.retryOn(twins[0])
        this.retryOn(twins[0])
        this.retryOn(twins[1])
      }
      perform() {}
    }
    await new Promise((resolve) => process.nextTick(resolve))
    process.off('warning', listener)
    expect(warned).toEqual([
      expect.stringContaining(`${FailingJob.name}: two retryOn of different errors count as "[DoubleError]"`),
    ])
  })
})

describe('retryOn attempts', () => {
  test.each([1, 2, 5])('attempts: %i allows that number of runs [AJ-057]', async (attempts) => {
    const FailingJob = declareFailingJob(NetworkError, { attempts }, () => new NetworkError('no'))
    const results = await performAll(new FailingJob())
    expect(results).toHaveLength(attempts)
    expect(results.at(-1)).toMatchObject({
      outcome: 'retry_stopped',
      errorEvent: 4,
      isUnhandled: true,
      reenqueue: null,
    })
  })

  test('allow five runs by default [AJ-057]', async () => {
    const FailingJob = declareFailingJob(NetworkError, {}, () => new NetworkError('no'))
    expect(await performAll(new FailingJob())).toHaveLength(5)
  })

  test.each(['unlimited', Number.POSITIVE_INFINITY] as const)('%s never stops [AJ-057]', async (attempts) => {
    const FailingJob = declareFailingJob(NetworkError, { attempts }, () => new NetworkError('no'))
    const job = new FailingJob()
    job.executions = 1_000_000
    job.exceptionExecutions = { '[NetworkError]': 1_000_000 }
    expect(await perform(job)).toMatchObject({ outcome: 'retried' })
  })
})

describe('retryOn waits', () => {
  test('three seconds by default, stretched by less than 15 % [AJ-061]', async () => {
    const FailingJob = declareFailingJob(NetworkError, {}, () => new NetworkError('no'))
    const wait = waitOf(await perform(new FailingJob()))
    expect(wait).toBeGreaterThanOrEqual(3)
    expect(wait).toBeLessThan(3.45)
  })

  test('3, 18, 83, 258 and 627 seconds when polynomially longer without jitter [AJ-060]', async () => {
    const FailingJob = declareFailingJob(
      NetworkError,
      { wait: 'polynomially_longer', jitter: null, attempts: 6 },
      () => new NetworkError('no'),
    )
    const results = await performAll(new FailingJob())
    expect(results.slice(0, 5).map(waitOf)).toEqual([3, 18, 83, 258, 627])
  })

  test('with jitter lengthen the polynomial except its two seconds, lengthen numbers wholly, and never change functions [AJ-061]', async () => {
    const count = fc.integer({ min: 1, max: 50 })
    const jitter = fc.double({ min: 0, max: 2, noNaN: true })
    await fc.assert(
      fc.asyncProperty(count, jitter, fc.integer({ min: 0, max: 10_000 }), async (n, j, seconds) => {
        const wait = async (given: RetryOnOptions['wait']) => {
          const FailingJob = declareFailingJob(
            NetworkError,
            { wait: given, jitter: j, attempts: 'unlimited' },
            () => new NetworkError(),
          )
          const job = new FailingJob()
          job.exceptionExecutions = { '[NetworkError]': n - 1 }
          return waitOf(await perform(job))
        }
        const polynomial = await wait('polynomially_longer')
        // Times have millisecond resolution.
        expect(polynomial).toBeGreaterThanOrEqual(n ** 4 + 2)
        expect(polynomial).toBeLessThanOrEqual(n ** 4 * (1 + j) + 2)
        const fixed = await wait(seconds)
        expect(fixed).toBeGreaterThanOrEqual(seconds)
        expect(fixed).toBeLessThanOrEqual(seconds * (1 + j))
        expect(await wait(() => seconds)).toBe(seconds)
      }),
      { numRuns: 50 },
    )
  })

  test('from a function that gets the count of its declaration and the error [AJ-061]', async () => {
    const seen: unknown[] = []
    const wait = (executions: number, error: Error) => {
      seen.push([executions, error.message])
      return 7
    }
    const FailingJob = declareFailingJob(NetworkError, { wait }, () => new NetworkError('no'))
    expect((await performAll(new FailingJob())).slice(0, -1).map(waitOf)).toEqual([7, 7, 7, 7])
    expect(seen).toEqual([1, 2, 3, 4].map((count) => [count, 'no']))
  })

  test('use the jitter of the class if the declaration has none [AJ-061]', async () => {
    const FailingJob = declareFailingJob(NetworkError, { wait: 100 }, () => new NetworkError('no'))
    FailingJob.retryJitter = 0
    expect(waitOf(await perform(new FailingJob()))).toBe(100)
  })

  test('of zero seconds set a schedule for now instead of none [AJ-012]', async () => {
    const FailingJob = declareFailingJob(NetworkError, { wait: 0 }, () => new NetworkError('no'))
    expect(await perform(new FailingJob())).toMatchObject({ reenqueue: { scheduledAt: NOW } })
  })
})

describe('retryOn refuses', () => {
  test.each([
    [{ attempts: 0 }, 'attempts must be a whole number'],
    [{ attempts: 1.5 }, 'attempts must be a whole number'],
    [{ wait: Number.NaN }, 'wait must be'],
    [{ wait: 'later' as never }, 'wait must be'],
    [{ atempts: 3 } as never, 'did you mean attempts?'],
  ] satisfies [RetryOnOptions, string][])('%j when the class loads', (options, text) => {
    expect(() => declareFailingJob(NetworkError, options, () => new Error())).toThrow(ConfigurationError)
    expect(() => declareFailingJob(NetworkError, options, () => new Error())).toThrow(text)
  })
})
