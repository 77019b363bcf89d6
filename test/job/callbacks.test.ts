import { EventEmitter, once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { throwAbort } from '../../src/job/callbacks.ts'
import { eventsDuring, perform } from './fixtures.ts'

/** A class whose callbacks and `perform` write their names into `log`. */
const declareJob = (log: string[]) => {
  class TracedJob extends Job {
    perform() {
      log.push('perform')
    }
  }
  return TracedJob
}

describe('callbacks', () => {
  test('run with the first declared as the outermost; before, around and after are interleaved [AJ-048]', async () => {
    const log: string[] = []
    const around = (name: string) => async (_job: Job, next: () => Promise<void>) => {
      log.push(`${name} in`)
      await next()
      log.push(`${name} out`)
    }
    const TracedJob = declareJob(log)
    TracedJob.afterPerform(() => log.push('A'))
    TracedJob.aroundPerform(around('B'))
    TracedJob.beforePerform(() => log.push('C'))
    TracedJob.afterPerform(() => log.push('D'))
    TracedJob.aroundPerform(around('E'))
    TracedJob.beforePerform(() => log.push('F'))
    TracedJob.afterPerform(() => log.push('G'))
    await TracedJob.performNow()
    expect(log).toEqual(['B in', 'C', 'E in', 'F', 'perform', 'G', 'E out', 'D', 'B out', 'A'])
  })

  test('of a superclass surround those of its subclass, also when declared later [AJ-048]', async () => {
    const log: string[] = []
    abstract class ApplicationJob extends Job {}
    class TracedJob extends ApplicationJob {
      static {
        this.beforePerform(() => log.push('subclass before'))
        this.afterPerform(() => log.push('subclass after'))
      }
      perform() {
        log.push('perform')
      }
    }
    ApplicationJob.beforePerform(() => log.push('superclass before'))
    ApplicationJob.afterPerform(() => log.push('superclass after'))
    await TracedJob.performNow()
    expect(log).toEqual(['superclass before', 'subclass before', 'perform', 'subclass after', 'superclass after'])
  })

  test('of one class do not run for its sibling class [AJ-048]', async () => {
    const log: string[] = []
    const OneJob = declareJob(log)
    const OtherJob = declareJob(log)
    OneJob.beforePerform(() => log.push('one'))
    await OtherJob.performNow()
    expect(log).toEqual(['perform'])
  })

  test('an abort in a before callback skips all inner callbacks and every after, and outer arounds complete [AJ-049]', async () => {
    const log: string[] = []
    const TracedJob = declareJob(log)
    TracedJob.afterPerform(() => log.push('outer after'))
    TracedJob.aroundPerform(async (_job, next) => {
      log.push('around in')
      await next()
      log.push('around out')
    })
    TracedJob.beforePerform(() => throwAbort())
    TracedJob.beforePerform(() => log.push('inner before'))
    const seen = await eventsDuring(async () => {
      expect(await TracedJob.performNow()).toBe(false)
    })
    expect(log).toEqual(['around in', 'around out'])
    expect(seen.at(-1)).toMatchObject({ name: 'perform', payload: { aborted: true } })
    expect(seen.at(-1)?.payload).not.toHaveProperty('error')
  })

  test('an aborted attempt succeeds without error, retry or afterDiscard [AJ-049, AJ-065]', async () => {
    const log: string[] = []
    const TracedJob = declareJob(log)
    TracedJob.retryOn(Error)
    TracedJob.afterDiscard(() => log.push('afterDiscard'))
    TracedJob.beforePerform(async () => throwAbort())
    const result = await perform(new TracedJob())
    expect(result).toMatchObject({ outcome: 'succeeded', error: null, errorEvent: null, reenqueue: null })
    expect(log).toEqual([])
  })

  test('a before callback that returns false aborts nothing [AJ-049]', async () => {
    const log: string[] = []
    const TracedJob = declareJob(log)
    TracedJob.beforePerform(() => false)
    await TracedJob.performNow()
    expect(log).toEqual(['perform'])
  })

  test.each(['around', 'after', 'perform'] as const)('an abort in %s is an error [AJ-050]', async (place) => {
    class TracedJob extends Job {
      perform() {
        if (place === 'perform') throwAbort()
      }
    }
    if (place === 'around') TracedJob.aroundPerform(() => throwAbort())
    if (place === 'after') TracedJob.afterPerform(() => throwAbort())
    const result = await perform(new TracedJob())
    expect(result).toMatchObject({ outcome: 'unhandled', error: { text: 'UncaughtThrowError: uncaught throw :abort' } })
  })

  test('an after callback does not run if an inner callback or perform throws, unless an around caught the error [AJ-051]', async () => {
    const log: string[] = []
    class FailingJob extends Job {
      perform() {
        throw new Error('no')
      }
    }
    FailingJob.afterPerform(() => log.push('outer after'))
    FailingJob.aroundPerform(async (_job, next) => {
      await next().catch(() => log.push('caught'))
    })
    FailingJob.afterPerform(() => log.push('inner after'))
    expect(await perform(new FailingJob())).toMatchObject({ outcome: 'succeeded' })
    expect(log).toEqual(['caught', 'outer after'])
  })

  test('an error in a before callback goes to the error handlers [AJ-052]', async () => {
    const TracedJob = declareJob([])
    TracedJob.retryOn(RangeError, { wait: 1 })
    TracedJob.beforePerform(() => {
      throw new RangeError('too early')
    })
    expect(await perform(new TracedJob())).toMatchObject({ outcome: 'retried', errorEvent: 3 })
  })

  test('an around that never calls next() skips the inner callbacks and perform, but not the outer afters', async () => {
    const log: string[] = []
    const TracedJob = declareJob(log)
    TracedJob.afterPerform(() => log.push('outer after'))
    TracedJob.aroundPerform(() => {})
    TracedJob.afterPerform(() => log.push('inner after'))
    expect(await TracedJob.performNow()).toBeUndefined()
    expect(log).toEqual(['outer after'])
  })

  test('a second next() throws, so perform never runs twice', async () => {
    const log: string[] = []
    const TracedJob = declareJob(log)
    TracedJob.aroundPerform(async (_job, next) => {
      await next()
      await next()
    })
    await expect(TracedJob.performNow()).rejects.toThrow('called next() twice')
    expect(log).toEqual(['perform'])
  })

  test.each(['returns', 'throws'] as const)(
    'an around that %s before its next() has settled ends after it',
    async (way) => {
      const log: string[] = []
      const gate = new EventEmitter()
      class SlowJob extends Job {
        async perform() {
          await once(gate, 'open')
          log.push('perform')
        }
      }
      SlowJob.aroundPerform((_job, next) => {
        void next()
        if (way === 'throws') throw new Error('hasty')
      })
      const ended = SlowJob.performNow().catch((error: Error) => log.push(error.message))
      gate.emit('open')
      await ended
      expect(log).toEqual(way === 'throws' ? ['perform', 'hasty'] : ['perform'])
    },
  )

  test('the if and unless options decide whether a callback runs', async () => {
    const log: string[] = []
    class TracedJob extends Job {
      isLoud = true
      perform() {}
    }
    TracedJob.beforePerform(() => log.push('if'), { if: (job) => job.isLoud })
    TracedJob.beforePerform(() => log.push('not if'), { if: (job) => !job.isLoud })
    TracedJob.afterPerform(() => log.push('unless'), { unless: (job) => !job.isLoud })
    TracedJob.afterPerform(() => log.push('not unless'), { unless: (job) => job.isLoud })
    await TracedJob.performNow()
    expect(log).toEqual(['if', 'unless'])
  })
})
