import pino from 'pino'
import { expect, expectTypeOf, test } from 'vitest'
import { Job, type JobConstructor, type PerformArguments } from '../../src/job/base.ts'
import type { BatchReference } from '../../src/job/batch-reference.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import type { Logger } from '../../src/job/logger.ts'
import { RecordingAdapter } from './fixtures.ts'

class ThumbnailJob extends Job {
  static override jobClass = 'Media::ThumbnailJob'
  static override queueAs = 'node'
  static override priority = 10
  static override labels = ['thumbs']
  static {
    this.retryOn([RangeError, TypeError], { wait: 'polynomially_longer', attempts: 5 }, (job, error) => {
      expectTypeOf(job).toEqualTypeOf<ThumbnailJob>()
      expectTypeOf(error).toEqualTypeOf<RangeError | TypeError>()
    })
    this.discardOn('Net::OpenTimeout', {}, (_job, error) => expectTypeOf(error).toEqualTypeOf<Error>())
    this.beforePerform(async (job) => {
      expectTypeOf(job.size).toEqualTypeOf<number>()
    })
  }
  size = 1
  async perform(photoId: number, options: { width: number }) {
    const { signal, logger, executions } = this
    expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
    expectTypeOf(logger).toEqualTypeOf<Logger>()
    return photoId * options.width * executions
  }
}
ThumbnailJob.queueAdapter = new RecordingAdapter()

class OptionalJob extends Job {
  perform(_id: number, _name?: string, ..._rest: boolean[]) {}
}
OptionalJob.queueAdapter = new RecordingAdapter()

class StrictJob extends Job<[photoId: number, name?: string]> {
  perform(photoId: number, name?: string) {
    return `${photoId} ${name}`
  }
}

abstract class ApplicationJob extends Job {
  static {
    this.retryOn(Error)
    this.beforePerform((job) => expectTypeOf(job).toEqualTypeOf<ApplicationJob>())
  }
}

class ShardedJob extends ApplicationJob {
  static override queueAs = (job: ShardedJob) => `shard_${job.shard}`
  shard = 3
  perform() {}
}

test('performLater has the parameter types of perform', async () => {
  expectTypeOf<PerformArguments<ThumbnailJob>>().toEqualTypeOf<[photoId: number, options: { width: number }]>()
  expectTypeOf(ThumbnailJob.performLater(7, { width: 200 })).resolves.toEqualTypeOf<ThumbnailJob | false>()
  // @ts-expect-error an argument is missing
  expectTypeOf(ThumbnailJob.performLater(7)).resolves.not.toBeAny()
  // @ts-expect-error an argument has another type
  expectTypeOf(ThumbnailJob.set({ wait: 60 }).performLater('7', { width: 200 })).resolves.not.toBeAny()
  // @ts-expect-error an option does not exist
  expect(() => new ThumbnailJob(7).set({ wate: 60 })).toThrow('did you mean wait?')
  expect(await OptionalJob.performLater(1)).toBeInstanceOf(OptionalJob)
  expect(await OptionalJob.performLater(1, 'a', true, false)).toBeInstanceOf(OptionalJob)
  expect(await ThumbnailJob.set({ queue: 'low' }).performLater(7, { width: 2 })).toMatchObject({ queueName: 'low' })
})

test('performNow returns the result of perform, false or a handled error', async () => {
  expectTypeOf(ThumbnailJob.performNow(7, { width: 200 })).resolves.toEqualTypeOf<number | false | Error>()
  expectTypeOf(new ThumbnailJob(1, { width: 2 }).performNow()).resolves.toEqualTypeOf<number | false | Error>()
  expect(await ThumbnailJob.performNow(7, { width: 200 })).toBe(1400)
})

test('the constructor checks its arguments if the class declares their types', () => {
  expectTypeOf(StrictJob).constructorParameters.toEqualTypeOf<[photoId: number, name?: string]>()
  expect(new StrictJob(1, 'a').arguments).toEqual([1, 'a'])
  // @ts-expect-error an argument has another type
  expect(new StrictJob('1').arguments).toEqual(['1'])
  expectTypeOf(StrictJob.set({}).build(1)).toEqualTypeOf<StrictJob>()
})

test('every class is a JobConstructor, its superclass may be abstract', async () => {
  const classes: JobConstructor[] = [ThumbnailJob, OptionalJob, StrictJob, ShardedJob]
  expect(classes).toHaveLength(4)
  expect(new ShardedJob().queueName).toBe('shard_3')
  await performAllLater([new ThumbnailJob(1, { width: 9 }), [new OptionalJob(2)]])
})

test('a class whose perform returns nothing and a class that overrides nothing are job classes', () => {
  expectTypeOf<Job['batch']>().toExtend<BatchReference | null>()
  expectTypeOf(new OptionalJob(1).enqueue()).resolves.toEqualTypeOf<OptionalJob | false>()
})

class LimitedJob extends Job {
  static {
    this.controlConcurrencyWith({
      key: (job) => {
        expectTypeOf(job.size).toEqualTypeOf<number>()
        const [photoId, { width }] = job.arguments
        expectTypeOf(photoId).toEqualTypeOf<number>()
        expectTypeOf(width).toEqualTypeOf<number>()
        return `photo-${photoId}`
      },
      totalLimit(job) {
        expectTypeOf(this).toEqualTypeOf(job)
        return job.arguments[1].width
      },
      performThrottle: [10, 60],
    })
    this.concurrencyRule({ label: 'photos', applyLabel: true, enqueueThrottle: () => [1, 60] })
    // @ts-expect-error a key is no list
    const noKey = () => this.controlConcurrencyWith({ key: () => ['a'] })
    // @ts-expect-error a function of a rule is not async
    const noPromise = () => this.controlConcurrencyWith({ key: async () => 'a' })
    // @ts-expect-error a throttle has two numbers
    const noThrottle = () => this.concurrencyRule({ enqueueThrottle: [10] })
    // @ts-expect-error a function returns null for no limit
    const noLimit = () => this.concurrencyRule({ totalLimit: () => undefined })
    // @ts-expect-error an argument does not exist
    const noArgument = () => this.concurrencyRule({ label: (job) => job.arguments[3], totalLimit: 1 })
    expect([noKey, noPromise, noThrottle, noLimit, noArgument]).toHaveLength(5)
  }
  size = 1
  async perform(_photoId: number, _options: { width: number }, _name?: string) {}
}

test('the functions of concurrency rules get the arguments of perform', () => {
  abstract class BaseJob extends Job {
    static {
      this.concurrencyRule({ key: ({ arguments: [first] }) => String(first), totalLimit: 1 })
      this.concurrencyRule({
        key: (job) => expectTypeOf(job.arguments[0]).toEqualTypeOf<unknown>() && 'a',
        totalLimit: 1,
      })
    }
  }
  expect(Object.getPrototypeOf(BaseJob)).toBe(Job)
  expect(new LimitedJob(7, { width: 2 }).labels).toEqual(['photos'])
})

test('a pino logger is a Logger', () => {
  const logger: Logger = pino({ enabled: false })
  expect(logger.child({ a: 1 }).info({ b: 2 }, 'text')).toBeUndefined()
})
