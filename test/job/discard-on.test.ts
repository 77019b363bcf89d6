import { describe, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { eventsDuring, perform, performAll } from './fixtures.ts'

class NotFoundError extends Error {}
class GoneError extends NotFoundError {}

/** A class that throws `error`; its handlers log their calls in `log`. */
const declareJob = (error: unknown, log: string[] = []) => {
  class FailingJob extends Job {
    static {
      this.afterDiscard((_job, failure) => log.push(`afterDiscard ${failure.message}`))
    }
    perform() {
      throw error
    }
  }
  return FailingJob
}

describe('the handler of an error', () => {
  test('is the one declared last, also if an earlier one is more specific [AJ-054]', async () => {
    const FailingJob = declareJob(new GoneError('gone'))
    FailingJob.discardOn(GoneError)
    FailingJob.retryOn(Error)
    expect(await perform(new FailingJob())).toMatchObject({ outcome: 'retried' })
  })

  test("is a subclass's before its superclass's, and never a sibling's [AJ-054]", async () => {
    const FailingJob = declareJob(new GoneError('gone'))
    class SubJob extends FailingJob {}
    SubJob.discardOn(NotFoundError)
    FailingJob.retryOn(NotFoundError)
    expect(await perform(new SubJob())).toMatchObject({ outcome: 'discarded' })
    expect(await perform(new FailingJob())).toMatchObject({ outcome: 'retried' })
  })

  test.each([
    ['a class', NotFoundError],
    ['the JavaScript name of a superclass', 'NotFoundError'],
    ['Error, for an error of any kind', Error],
    ['one of several', [RangeError, NotFoundError]],
  ] as const)('matches %s [AJ-054]', async (_what, matcher) => {
    const FailingJob = declareJob(new GoneError('gone'))
    FailingJob.discardOn(matcher)
    expect(await perform(new FailingJob())).toMatchObject({ outcome: 'discarded' })
  })

  test('may be declared by the Ruby name of the error class [AJ-054]', async () => {
    class MissingError extends Error {
      static rubyName = 'ActiveRecord::RecordNotFound'
    }
    const FailingJob = declareJob(new MissingError('7'))
    FailingJob.discardOn('ActiveRecord::RecordNotFound')
    expect(await perform(new FailingJob())).toMatchObject({ outcome: 'discarded' })
  })

  test('also handles a thrown value that is no error [AJ-084]', async () => {
    const FailingJob = declareJob('just text')
    FailingJob.discardOn(Error, {}, (_job, error) => expect(error.message).toBe('just text'))
    const result = await perform(new FailingJob())
    expect(result).toMatchObject({ outcome: 'discarded', error: { text: 'StandardError: just text' } })
  })

  test('is found by the cause only if no handler matches the error, and then gets the cause as the error [AJ-055]', async () => {
    const cause = new GoneError('the row')
    const error = new Error('wrapped', { cause: new RangeError('between', { cause }) })
    const FailingJob = declareJob(error)
    FailingJob.discardOn(GoneError, {}, (_job, failure) => expect(failure).toBe(cause))
    const result = await perform(new FailingJob())
    expect(result).toMatchObject({ outcome: 'discarded', cause, error: { text: 'GoneError: the row' } })
    FailingJob.prototype.perform = () => {
      throw error
    }
    class DirectJob extends FailingJob {}
    DirectJob.rescueFrom(GoneError, () => {})
    DirectJob.retryOn(Error, { attempts: 3 })
    expect(await perform(new DirectJob())).toMatchObject({ outcome: 'retried', cause: error })
  })

  test('is not searched for ever in a cycle of causes [AJ-055]', async () => {
    const error = new Error('a')
    error.cause = new RangeError('b', { cause: error })
    const FailingJob = declareJob(error)
    FailingJob.discardOn(GoneError)
    expect(await perform(new FailingJob())).toMatchObject({ outcome: 'unhandled', cause: error })
  })

  test('propagates an error that it throws itself, and no other handler runs [AJ-067]', async () => {
    const log: string[] = []
    const FailingJob = declareJob(new GoneError('gone'), log)
    FailingJob.discardOn(RangeError)
    FailingJob.rescueFrom(GoneError, () => {
      throw new RangeError('from the handler')
    })
    const result = await perform(new FailingJob())
    expect(result).toMatchObject({
      outcome: 'unhandled',
      errorEvent: 1,
      error: { text: 'RangeError: from the handler' },
    })
    expect(log).toEqual([])
  })
})

describe('the end of a job', () => {
  test('discardOn emits one discard event around its block and then afterDiscard [AJ-064]', async () => {
    const log: string[] = []
    const error = new NotFoundError('7')
    const FailingJob = declareJob(error, log)
    FailingJob.discardOn(NotFoundError, { report: true }, () => log.push('block'))
    const seen = await eventsDuring(() => perform(new FailingJob()))
    expect(seen.map(({ name }) => name)).toEqual(['perform_start', 'error_report', 'discard', 'perform'])
    expect(seen[2]?.payload).toMatchObject({ error })
    expect(log).toEqual(['block', 'afterDiscard 7'])
  })

  test('a discardOn block that throws skips afterDiscard, and its error is unhandled [AJ-064]', async () => {
    const log: string[] = []
    const FailingJob = declareJob(new NotFoundError('7'), log)
    FailingJob.discardOn(NotFoundError, {}, () => {
      throw new Error('in the block')
    })
    expect(await perform(new FailingJob())).toMatchObject({
      outcome: 'unhandled',
      error: { text: 'StandardError: in the block' },
    })
    expect(log).toEqual([])
  })

  test('a job whose attempts are used up, without a block, emits retry_stopped, runs afterDiscard and fails with the error [AJ-063]', async () => {
    const log: string[] = []
    const FailingJob = declareJob(new NotFoundError('7'), log)
    FailingJob.retryOn(NotFoundError, { attempts: 1 })
    const seen = await eventsDuring(async () => {
      expect(await perform(new FailingJob())).toMatchObject({
        outcome: 'retry_stopped',
        errorEvent: 4,
        isUnhandled: true,
      })
    })
    expect(seen.map(({ name }) => name)).toEqual(['perform_start', 'retry_stopped', 'perform'])
    expect(log).toEqual(['afterDiscard 7'])
  })

  test('a job whose attempts are used up, with a block, runs the block inside retry_stopped, then afterDiscard, without an error [AJ-063]', async () => {
    const log: string[] = []
    const FailingJob = declareJob(new NotFoundError('7'), log)
    FailingJob.retryOn(NotFoundError, { attempts: 2, jitter: null }, (job, error) =>
      log.push(`block ${error.message} at run ${job.executions}`),
    )
    const seen = await eventsDuring(async () => {
      const results = await performAll(new FailingJob())
      expect(results.at(-1)).toMatchObject({
        outcome: 'retry_stopped',
        errorEvent: 4,
        isUnhandled: false,
        reenqueue: null,
      })
    })
    expect(seen.slice(-2).map(({ name }) => name)).toEqual(['retry_stopped', 'perform'])
    expect(log).toEqual(['block 7 at run 2', 'afterDiscard 7'])
  })

  test('a block for used up attempts that throws skips afterDiscard [AJ-063]', async () => {
    const log: string[] = []
    const FailingJob = declareJob(new NotFoundError('7'), log)
    FailingJob.retryOn(NotFoundError, { attempts: 1 }, () => {
      throw new Error('in the block')
    })
    expect(await perform(new FailingJob())).toMatchObject({ outcome: 'unhandled', errorEvent: 1 })
    expect(log).toEqual([])
  })

  test('an unhandled error runs afterDiscard once and propagates [AJ-065]', async () => {
    const log: string[] = []
    const error = new NotFoundError('7')
    const FailingJob = declareJob(error, log)
    await expect(FailingJob.performNow()).rejects.toBe(error)
    expect(log).toEqual(['afterDiscard 7'])
  })

  test('a scheduled retry and rescueFrom run no afterDiscard [AJ-065]', async () => {
    const log: string[] = []
    const FailingJob = declareJob(new NotFoundError('7'), log)
    FailingJob.retryOn(NotFoundError)
    expect(await perform(new FailingJob())).toMatchObject({ outcome: 'retried' })
    FailingJob.rescueFrom(NotFoundError, () => log.push('rescued'))
    expect(await perform(new FailingJob())).toMatchObject({ outcome: 'handled', errorEvent: 2, isUnhandled: false })
    expect(log).toEqual(['rescued'])
  })

  test('every afterDiscard runs, superclass first, and the last thrown error wins [AJ-066]', async () => {
    const log: string[] = []
    const FailingJob = declareJob(new NotFoundError('7'), log)
    class SubJob extends FailingJob {
      static {
        this.afterDiscard(() => {
          throw new Error('first')
        })
        this.afterDiscard(async () => {
          throw new Error('second')
        })
        this.afterDiscard(() => log.push('third'))
      }
    }
    expect(await perform(new SubJob())).toMatchObject({
      outcome: 'unhandled',
      error: { text: 'StandardError: second' },
    })
    expect(log).toEqual(['afterDiscard 7', 'third'])
  })

  test('a missing argument is an ordinary error that perform throws [AJ-053]', async () => {
    class PickyJob extends Job {
      perform({ name }: { name: string }) {
        return name.length
      }
    }
    PickyJob.discardOn(TypeError)
    const job = new PickyJob()
    job.arguments = []
    expect(await perform(job)).toMatchObject({ outcome: 'discarded', errorEvent: 5 })
  })
})
