import { describe, expect, test } from 'vitest'
import { InvalidStepError } from '../../src/errors.ts'
import { Job } from '../../src/job/base.ts'
import type { Step } from '../../src/job/continuation/step.ts'
import { jobFromText, jobToText } from '../../src/job/serialization.ts'
import { eventsDuring, NOW, perform, run, storedAgain, storedParams } from './fixtures.ts'
import { count, declareJob, progressOf, resumed, stopAfter } from './step-jobs.ts'

describe('steps', () => {
  test('without a function are methods of the job', async () => {
    const log: unknown[] = []
    class StepJob extends Job {
      static override continuable = true
      async perform() {
        await this.step('validate')
      }
      validate(step: Step) {
        log.push(this instanceof StepJob, step.name)
      }
    }
    await StepJob.performNow()
    expect(log).toEqual([true, 'validate'])
  })

  test('that are isolated run alone: the job is interrupted before such a step if it has done work, and before the next step [AJ-078]', async () => {
    const log: string[] = []
    const StepJob = declareJob(async (job) => {
      await job.step('one', () => log.push('one'))
      await job.step('two', () => log.push('two'), { isolated: true })
      await job.step('three', () => log.push('three'))
    })
    const seen = await eventsDuring(async () => {
      const first = await perform(new StepJob())
      expect(progressOf(first)).toEqual({ continuation: { completed: ['one'] }, resumptions: 0 })
      const second = await run(storedAgain(first))
      expect(progressOf(second)).toEqual({ continuation: { completed: ['one', 'two'] }, resumptions: 1 })
      expect(await run(storedAgain(second))).toMatchObject({ outcome: 'succeeded' })
    })
    expect(log).toEqual(['one', 'two', 'three'])
    expect(seen.filter(({ name }) => name === 'interrupt').map(({ payload }) => payload)).toMatchObject([
      { reason: 'isolating', description: "after 'one'" },
      { reason: 'isolating', description: "after 'two'" },
    ])
  })

  test('with an error after progress resume, without retryOn and discardOn [AJ-079]', async () => {
    const StepJob = declareJob(async (job) => {
      await job.step('one', () => {})
      await job.step('two', () => {
        throw new RangeError('late')
      })
    })
    StepJob.discardOn(RangeError)
    const result = await perform(new StepJob())
    expect(result).toMatchObject({ outcome: 'retried', error: null })
    expect(storedParams(result)).toMatchObject({
      continuation: { completed: ['one'], current: ['two', null] },
      exception_executions: {},
    })
  })

  test('with an error before any progress go to retryOn and keep the current step [AJ-079]', async () => {
    const StepJob = declareJob((job) =>
      job.step('one', () => {
        throw new RangeError('early')
      }),
    )
    StepJob.retryOn(RangeError, { wait: 60, jitter: 0 })
    const result = await perform(new StepJob())
    expect(result).toMatchObject({ outcome: 'retried', errorEvent: 3 })
    expect(storedParams(result)).toMatchObject({
      continuation: { completed: [], current: ['one', null] },
      exception_executions: { '[RangeError]': 1 },
    })
  })

  test('with an error after progress go to retryOn if resumeErrorsAfterAdvancing is false [AJ-079]', async () => {
    const StepJob = declareJob(async (job) => {
      await job.step('one', () => {})
      throw new RangeError('late')
    })
    StepJob.resumeErrorsAfterAdvancing = false
    StepJob.discardOn(RangeError)
    expect(await perform(new StepJob())).toMatchObject({ outcome: 'discarded' })
  })

  test('resume as often as maxResumptions allows, then fail with ResumeLimitError, which handlers can handle [AJ-080]', async () => {
    const StepJob = declareJob((job) => job.step('import', count(0, 10)))
    StepJob.maxResumptions = 1
    const first = await perform(new StepJob(), {}, stopAfter(0))
    const second = await run(storedAgain(first), stopAfter(0))
    expect(second).toMatchObject({
      outcome: 'unhandled',
      error: { text: 'ActiveJob::Continuation::ResumeLimitError: Job was resumed a maximum of 1 times' },
    })
    StepJob.discardOn('ResumeLimitError')
    expect(await run(storedAgain(first), stopAfter(0))).toMatchObject({ outcome: 'discarded' })
  })

  test('are enqueued again with the resumeOptions of the class', async () => {
    const StepJob = declareJob((job) => job.step('import', count(0, 10)))
    StepJob.resumeOptions = { wait: 60, queue: 'slow' }
    const { reenqueue } = await perform(new StepJob(), {}, stopAfter(0))
    expect(reenqueue).toMatchObject({ queueName: 'slow', scheduledAt: new Date(NOW.getTime() + 60_000) })
  })

  test('of a class that does not declare steps throw an error that shows the declaration [AJ-081]', async () => {
    class PlainJob extends Job {
      async perform() {
        await this.step('one', () => {})
      }
    }
    await expect(PlainJob.performNow()).rejects.toThrow('PlainJob has steps: add static override continuable = true')
  })
})

describe('the order of steps [AJ-081]', () => {
  const nothing = () => {}
  const cases: [string, string, Record<string, unknown>, (job: Job) => Promise<unknown>][] = [
    [
      'the same step twice',
      'has already been encountered',
      {},
      async (job) => {
        await job.step('one', nothing)
        await job.step('one', nothing)
      },
    ],
    ['a step in a step', "is nested inside step 'one'", {}, (job) => job.step('one', () => job.step('two', nothing))],
    [
      'another step than the one in progress',
      "expected to resume from 'two'",
      { current: ['two', 1] },
      (job) => job.step('one', nothing),
    ],
    [
      'another order than before',
      "expected to see 'one'",
      { completed: ['one', 'two'] },
      (job) => job.step('two', nothing),
    ],
    ['a step without a name', 'must have a name', {}, (job) => job.step('', nothing)],
    ['a step without a function', 'has no function', {}, (job) => job.step('unknown')],
  ]

  test.each(cases)('%s is an InvalidStepError, never resumed', async (_what, text, progress, perform) => {
    const StepJob = declareJob(perform)
    const continuation = { completed: [], ...progress }
    const result = await run(resumed(new StepJob(), { continuation }))
    expect(result).toMatchObject({ outcome: 'unhandled', reenqueue: null, cause: expect.any(InvalidStepError) })
    expect(result.error?.text).toContain(text)
  })

  test('a step without a function or method fails at once: it is not stored as the current step nor hidden by an interrupt', async () => {
    const StepJob = declareJob(async (job) => {
      await job.step('one', nothing)
      await job.step('renamed')
    })
    StepJob.retryOn(InvalidStepError, { wait: 60 })
    const result = await perform(new StepJob(), {}, stopAfter(0))
    expect(result).toMatchObject({ outcome: 'retried', cause: expect.any(InvalidStepError) })
    expect(progressOf(result)).toEqual({ continuation: { completed: ['one'] }, resumptions: 0 })
  })

  test('a completed step without a method is skipped', async () => {
    const StepJob = declareJob((job) => job.step('gone'))
    const result = await run(resumed(new StepJob(), { continuation: { completed: ['gone'] } }))
    expect(result).toMatchObject({ outcome: 'succeeded' })
  })

  test('a job may have completed steps that it no longer reaches', async () => {
    const StepJob = declareJob((job) => job.step('one', nothing))
    const result = await run(resumed(new StepJob(), { continuation: { completed: ['one', 'gone'] } }))
    expect(result).toMatchObject({ outcome: 'succeeded' })
  })
})

describe('cursors advance', () => {
  test.each([
    [1, 2],
    [2 ** 53 - 1, 2n ** 53n],
    [2n ** 64n, 2n ** 64n + 1n],
    ['az', 'ba'],
  ])('from %s to %s', async (from, to) => {
    const cursors: unknown[] = []
    const StepJob = declareJob((job) =>
      job.step('one', (step) => {
        step.advance({ from })
        cursors.push(step.cursor, step.isAdvanced)
      }),
    )
    await StepJob.performNow()
    expect(cursors).toEqual([to, true])
  })

  test.each([null, 1.5, [1], true, 'é'])('not from %j', async (cursor) => {
    const StepJob = declareJob((job) => job.step('one', (step) => step.advance(), { start: cursor }))
    const result = await perform(new StepJob())
    expect(result).toMatchObject({ outcome: 'unhandled', reenqueue: null })
    expect(result.error?.text).toMatch(/^ActiveJob::Continuation::UnadvanceableCursorError: /)
  })
})

test('the after callbacks of a superclass run after an interrupted run, those of the class with steps do not', async () => {
  const log: string[] = []
  abstract class ApplicationJob extends Job {
    static {
      this.afterPerform(() => log.push('superclass'))
    }
  }
  class StepJob extends ApplicationJob {
    static override continuable = true
    static {
      this.afterPerform(() => log.push('class'))
    }
    async perform() {
      await this.step('import', count(0, 10))
    }
  }
  await perform(new StepJob(), {}, stopAfter(0))
  expect(log).toEqual(['superclass'])
})

test('a job with steps whose re-enqueue a before callback aborts fails instead of being lost', async () => {
  const StepJob = declareJob((job) => job.step('import', count(0, 10)))
  const text = jobToText(new StepJob(), { now: NOW, railsVersion: '8.1' })
  StepJob.beforeEnqueue(() => {
    throw new Error('closed')
  })
  const result = await perform(jobFromText(StepJob, text), {}, stopAfter(0))
  expect(result).toMatchObject({ outcome: 'unhandled', error: { text: 'StandardError: closed' } })
})
