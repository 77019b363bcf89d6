import { EventEmitter, once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { failCurrentAttempt, jobOfCurrentAttempt } from '../../src/perform/attempt/execution.ts'
import { declareTestedJob, perform } from '../job/fixtures.ts'

class LostError extends Error {}

const attributed: (string | undefined)[] = []
const onRejection = (error: unknown) => {
  attributed.push(jobOfCurrentAttempt()?.id)
  failCurrentAttempt(error)
}

// As a worker does it, and instead of vitest, which would take each rejection for a failure of the test.
let others: NodeJS.UnhandledRejectionListener[] = []
beforeAll(() => {
  others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', onRejection)
})
afterAll(() => {
  process.removeAllListeners('unhandledRejection')
  for (const listener of others) process.on('unhandledRejection', listener)
})

/** A promise that is never awaited. */
const lose = (error: Error) => void Promise.reject(error)

describe('an unhandled rejection', () => {
  test('fails the attempt whose code caused it, also if perform returns at once', async () => {
    const TestedJob = declareTestedJob(() => lose(new LostError('floating')))
    const job = new TestedJob()
    expect(await perform(job)).toMatchObject({ outcome: 'unhandled', error: { text: 'LostError: floating' } })
    expect(attributed.at(-1)).toBe(job.jobId)
  })

  test('is handled by retryOn like an error that perform throws', async () => {
    const TestedJob = declareTestedJob(() => lose(new LostError('floating')))
    TestedJob.retryOn(LostError)
    expect(await perform(new TestedJob())).toMatchObject({ outcome: 'retried', errorEvent: 3 })
  })

  test('aborts the signal of its attempt and waits for perform, whose own error is ignored', async () => {
    const log: unknown[] = []
    const TestedJob = declareTestedJob(async ({ signal }) => {
      const aborted = once(signal, 'abort')
      lose(new LostError('floating'))
      await aborted
      log.push((signal.reason as Error).message)
      throw new Error('the abort')
    })
    expect(await perform(new TestedJob())).toMatchObject({
      outcome: 'unhandled',
      error: { text: 'LostError: floating' },
    })
    expect(log).toEqual(['floating'])
  })

  test('does not affect other attempts', async () => {
    const gate = new EventEmitter()
    const SlowJob = declareTestedJob(async ({ signal }) => {
      await once(gate, 'open')
      expect(signal.aborted).toBe(false)
    })
    const LosingJob = declareTestedJob(async () => {
      await null
      lose(new LostError('floating'))
    })
    const slow = perform(new SlowJob())
    const results = await Promise.all([perform(new LosingJob()), perform(new LosingJob())])
    gate.emit('open')
    expect(results.map(({ outcome }) => outcome)).toEqual(['unhandled', 'unhandled'])
    expect(await slow).toMatchObject({ outcome: 'succeeded' })
  })

  test('in a performNow inside a job fails the outer attempt', async () => {
    const InnerJob = declareTestedJob(() => lose(new LostError('inner')))
    const OuterJob = declareTestedJob(() => InnerJob.performNow())
    const outer = new OuterJob()
    expect(await perform(outer)).toMatchObject({ outcome: 'unhandled', error: { text: 'LostError: inner' } })
    expect(attributed.at(-1)).toBe(outer.jobId)
  })

  test('after the attempt has ended changes nothing and is reported', async () => {
    const gate = new EventEmitter()
    let late: Promise<boolean> | undefined
    const TestedJob = declareTestedJob(() => {
      late = once(gate, 'open').then(() => failCurrentAttempt(new LostError('late')))
    })
    const result = await perform(new TestedJob())
    gate.emit('open')
    expect(await late).toBe(false)
    expect(result).toMatchObject({ outcome: 'succeeded' })
  })

  test('outside of any attempt belongs to no attempt', () => {
    expect(jobOfCurrentAttempt()).toBeUndefined()
    expect(failCurrentAttempt(new LostError('outside'))).toBe(false)
  })
})
