import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import { Job } from '../../src/job/base.ts'
import { jobToData } from '../../src/job/serialization.ts'
import { declareMailJob, NOW } from './fixtures.ts'

const dataOf = (job: Job) => jobToData(job, { now: NOW, railsVersion: '7.2' })

describe('a new job', () => {
  test('has no executions, no counters and no provider id [AJ-005]', () => {
    const { MailJob } = declareMailJob()
    expect(dataOf(new MailJob('a'))).toMatchObject({ executions: 0, exceptionExecutions: {}, providerJobId: null })
  })

  test('has a lower-case UUID that stays the same [AJ-006]', () => {
    const { MailJob } = declareMailJob()
    const job = new MailJob('a')
    expect(job.jobId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(dataOf(job).jobId).toBe(job.jobId)
    expect(new MailJob('a').jobId).not.toBe(job.jobId)
  })

  test('has the name of its own class or its static jobClass, never that of its superclass', () => {
    class BaseJob extends Job {
      static override jobClass = 'Media::BaseJob'
      perform() {}
    }
    class DerivedJob extends BaseJob {}
    const { MailJob } = declareMailJob()
    expect([new MailJob('a').jobClass, MailJob.jobClass]).toEqual(['MailJob', 'MailJob'])
    expect([new BaseJob().jobClass, BaseJob.jobClass]).toEqual(['Media::BaseJob', 'Media::BaseJob'])
    expect(new DerivedJob().jobClass).toBe('DerivedJob')
    DerivedJob.jobClass = 'Media::DerivedJob'
    expect([new DerivedJob().jobClass, new BaseJob().jobClass]).toEqual(['Media::DerivedJob', 'Media::BaseJob'])
  })

  test('cannot be enqueued if its class has no name', async () => {
    const Nameless = (() =>
      class extends Job {
        perform() {}
      })()
    expect(() => new Nameless().jobClass).toThrow(ConfigurationError)
  })

  test('has the locale and time zone of its class [AJ-086]', () => {
    const { MailJob } = declareMailJob()
    MailJob.defaultLocale = 'pt-BR'
    MailJob.defaultTimezone = 'Tokyo'
    expect(dataOf(new MailJob('a'))).toMatchObject({ locale: 'pt-BR', timezone: 'Tokyo' })
    expect(new MailJob('a').ianaTimeZone).toBe('Asia/Tokyo')
  })

  test('created inside a running job has the locale and time zone of that job [AJ-086]', async () => {
    const { MailJob } = declareMailJob()
    let inner: Job | undefined
    class OuterJob extends Job {
      async perform() {
        await null
        inner = new MailJob('a')
      }
    }
    const outer = new OuterJob()
    outer.locale = 'fr'
    outer.timezone = 'Paris'
    await outer.performNow()
    expect(inner).toMatchObject({ locale: 'fr', timezone: 'Paris' })
  })
})

describe('queue and priority', () => {
  test('come from the class [AJ-011]', () => {
    class QueuedJob extends Job {
      static override queueAs = 'node'
      static override priority = 10
      perform() {}
    }
    expect(dataOf(new QueuedJob())).toMatchObject({ queueName: 'node', priority: 10 })
  })

  test('may be functions of the job, called once at the first read', () => {
    let calls = 0
    class QueuedJob extends Job {
      static override queueAs = (job: Job) => {
        calls++
        return `shard_${String(job.arguments[0])}`
      }
      static override priority = (job: Job) => Number(job.arguments[0]) * 2
      perform(_shard: number) {}
    }
    const job = new QueuedJob(3)
    expect([job.queueName, job.queueName, job.priority, calls]).toEqual(['shard_3', 'shard_3', 6, 1])
  })

  test('are by default the default queue and no priority', () => {
    const { MailJob } = declareMailJob()
    expect(dataOf(new MailJob('a'))).toMatchObject({ queueName: 'default', priority: null })
  })

  test('get the queue prefix of the class, whether set by the class, a function or set(), also for the default queue [AJ-011]', () => {
    class PrefixedJob extends Job {
      static override queueNamePrefix = 'pre'
      perform() {}
    }
    class ShardJob extends PrefixedJob {
      static override queueNameDelimiter = '.'
      static override queueAs = () => 'shard'
    }
    expect(new PrefixedJob().queueName).toBe('pre_default')
    expect(new PrefixedJob().set({ queue: 'other' }).queueName).toBe('pre_other')
    expect(new ShardJob().queueName).toBe('pre.shard')
    ShardJob.queueNamePrefix = ' '
    expect(new ShardJob().queueName).toBe('shard')
  })

  test('are unchanged by null or undefined in set(), which accepts zero [AJ-012]', () => {
    class QueuedJob extends Job {
      static override queueAs = 'node'
      static override priority = 10
      perform() {}
    }
    const job = new QueuedJob().set({
      queue: null,
      priority: undefined,
      wait: null,
      waitUntil: undefined,
      labels: null,
    })
    expect(job).toMatchObject({ queueName: 'node', priority: 10, scheduledAt: null, labels: [] })
    expect(job.set({ priority: 0 }).priority).toBe(0)
  })

  test('must have a 32-bit integer as priority; a numeric string is converted [AJ-012]', () => {
    const { MailJob } = declareMailJob()
    expect(new MailJob('a').set({ priority: '7' as never }).priority).toBe(7)
    expect(new MailJob('a').set({ priority: -2.9 }).priority).toBe(-2)
    for (const priority of [2 ** 31, Number.NaN, 'high' as never]) {
      expect(() => new MailJob('a').set({ priority })).toThrow(/priority must be an integer of 32 bits/)
    }
  })

  test('labels are trimmed, lose blanks and duplicates, and replace those of the class', () => {
    class LabelledJob extends Job {
      static override labels = ['thumbs', ' thumbs ', '']
      perform(_n: number) {}
    }
    class ComputedJob extends LabelledJob {}
    Object.defineProperty(ComputedJob, 'labels', { value: (job: Job) => [`n${String(job.arguments[0])}`] })
    expect(new LabelledJob(1).labels).toEqual(['thumbs'])
    expect(new LabelledJob(1).set({ labels: [' a', 'b', 'a'] }).labels).toEqual(['a', 'b'])
    expect(new ComputedJob(7).labels).toEqual(['n7'])
  })
})

describe('the schedule', () => {
  test('wait: 0 is a time, and a fraction is kept to the millisecond [AJ-012]', () => {
    const { MailJob } = declareMailJob()
    const before = Date.now()
    const now = new MailJob('a').set({ wait: 0 }).scheduledAt?.getTime() ?? 0
    const later = new MailJob('a').set({ wait: 1.5 }).scheduledAt?.getTime() ?? 0
    expect(now).toBeGreaterThanOrEqual(before)
    expect(later).toBeGreaterThanOrEqual(before + 1500)
    expect(new MailJob('a').set({ wait: -10 }).scheduledAt?.getTime()).toBeLessThan(before)
  })

  test('waitUntil wins over wait [AJ-013]', () => {
    const { MailJob } = declareMailJob()
    expect(new MailJob('a').set({ wait: 60, waitUntil: NOW }).scheduledAt).toEqual(NOW)
  })

  test.each([
    [{ wait: Number.NaN }, 'wait must be a number of seconds'],
    [{ wait: '5' as never }, 'wait must be a number of seconds'],
    [{ wait: 1e300 }, 'wait must be a number of seconds'],
    [{ waitUntil: new Date(Number.NaN) }, 'waitUntil must be a valid Date'],
    [{ waitUntil: 1893456000 as never }, 'waitUntil must be a valid Date'],
    [{ waitUntill: NOW } as never, 'did you mean waitUntil?'],
    [{ delay: 5 } as never, 'known are wait, waitUntil'],
  ])('%j is refused', async (options, text) => {
    const { MailJob, adapter } = declareMailJob()
    await expect(MailJob.set(options).performLater('a')).rejects.toThrow(ConfigurationError)
    await expect(MailJob.set(options).performLater('a')).rejects.toThrow(text)
    expect(adapter.jobs).toEqual([])
  })
})
