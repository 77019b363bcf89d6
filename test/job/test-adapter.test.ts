import { AssertionError } from 'node:assert'
import { beforeEach, describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import { TestAdapter } from '../../src/job/adapters/test-adapter.ts'
import { Job } from '../../src/job/base.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { NOW } from './fixtures.ts'

const performed: unknown[] = []

class MailJob extends Job {
  static override queueAs = 'mail'
  async perform(to: string, options?: { copies: number }) {
    performed.push([to, options])
  }
}

class ParentJob extends Job {
  static {
    this.retryOn(RangeError, { wait: 60 })
  }
  async perform(to: string) {
    await MailJob.performLater(to)
    if (this.executions === 1) throw new RangeError('once more')
  }
}

let adapter: TestAdapter

beforeEach(() => {
  performed.length = 0
  adapter = new TestAdapter()
  MailJob.queueAdapter = adapter
  ParentJob.queueAdapter = adapter
})

describe('enqueued jobs', () => {
  test('are counted, all of them or those that match', async () => {
    await MailJob.performLater('a')
    await MailJob.set({ queue: 'low' }).performLater('b')
    await ParentJob.performLater('c')
    adapter.assertEnqueuedJobs(3)
    adapter.assertEnqueuedJobs(2, { only: MailJob })
    adapter.assertEnqueuedJobs(3, { only: [MailJob, ParentJob] })
    adapter.assertEnqueuedJobs(1, { only: (job) => job.queueName === 'low' })
    adapter.assertEnqueuedJobs(1, { except: MailJob })
    adapter.assertEnqueuedJobs(1, { queue: 'mail' })
    expect(() => adapter.assertEnqueuedJobs(2)).toThrow(AssertionError)
    expect(() => adapter.assertEnqueuedJobs(2)).toThrow(
      /2 jobs expected, but 3 were enqueued; in all: \n {2}MailJob\["a"\] in mail/,
    )
    expect(() => adapter.assertNoEnqueuedJobs()).toThrow(/0 jobs expected/)
    adapter.assertNoEnqueuedJobs({ queue: 'other' })
    expect(() => adapter.assertEnqueuedJobs(1, { only: MailJob, except: MailJob })).toThrow(ConfigurationError)
  })

  test('of a block are counted separately from earlier ones', async () => {
    await MailJob.performLater('before')
    await adapter.assertEnqueuedJobs(2, {}, () => performAllLater([new MailJob('a'), new MailJob('b')]))
    await adapter.assertNoEnqueuedJobs({}, () => {})
    await expect(adapter.assertNoEnqueuedJobs({}, () => MailJob.performLater('c'))).rejects.toThrow(AssertionError)
  })

  test('are found by class, arguments, time, queue, priority and labels', async () => {
    await MailJob.set({ waitUntil: NOW, priority: 3, labels: ['x'] }).performLater('a', { copies: 2 })
    const expected = { job: MailJob, args: ['a', { copies: 2 }], at: NOW, queue: 'mail', priority: 3, labels: ['x'] }
    const job = adapter.assertEnqueuedWith(expected)
    expect(job).toBeInstanceOf(MailJob)
    expect(job.arguments).toEqual(['a', { copies: 2 }])
    adapter.assertEnqueuedWith({ at: new Date(NOW.getTime() + 900) })
    adapter.assertEnqueuedWith({ at: (at) => at !== null, args: ([to]) => to === 'a' })
    for (const other of [
      { job: ParentJob },
      { args: ['a'] },
      { args: ['a', { copies: 3 }] },
      { at: new Date(NOW.getTime() + 1100) },
      { queue: 'low' },
      { priority: 4 },
      { labels: [] },
      { at: () => false },
      { args: () => false },
    ]) {
      expect(() => adapter.assertEnqueuedWith({ ...expected, ...other })).toThrow(AssertionError)
    }
  })

  test('of a block are found separately from earlier ones', async () => {
    await MailJob.performLater('before')
    const job = await adapter.assertEnqueuedWith({ args: ['a'] }, () => MailJob.performLater('a'))
    expect(job.arguments).toEqual(['a'])
    await expect(adapter.assertEnqueuedWith({ args: ['before'] }, () => {})).rejects.toThrow(/enqueued jobs: none/)
  })

  test('are gone after clear', async () => {
    await MailJob.performLater('a')
    adapter.clear()
    adapter.assertNoEnqueuedJobs()
  })
})

describe('performed jobs', () => {
  test('are the waiting jobs, not the jobs that these enqueue', async () => {
    await ParentJob.performLater('a')
    expect(await adapter.performEnqueuedJobs()).toBe(1)
    adapter.assertPerformedJobs(1, { only: ParentJob })
    adapter.assertEnqueuedWith({ job: MailJob, args: ['a'] })
    adapter.assertEnqueuedWith({ job: ParentJob, at: (at) => at !== null })
    expect(await adapter.performEnqueuedJobs({ only: MailJob })).toBe(1)
    expect(performed).toEqual([['a', undefined]])
  })

  test('can be limited to jobs due at a given time', async () => {
    await MailJob.set({ waitUntil: NOW }).performLater('now')
    await MailJob.set({ waitUntil: new Date(NOW.getTime() + 1) }).performLater('later')
    expect(await adapter.performEnqueuedJobs({ at: NOW })).toBe(1)
    expect(performed).toEqual([['now', undefined]])
  })

  test('of a block run when enqueued, including the jobs that they enqueue and their retries', async () => {
    await MailJob.performLater('before')
    expect(await adapter.performEnqueuedJobs({}, () => ParentJob.performLater('a'))).toBe(4)
    expect(performed).toEqual([
      ['a', undefined],
      ['a', undefined],
    ])
    adapter.assertEnqueuedJobs(1)
  })

  test('of a block are counted and found', async () => {
    await adapter
      .assertPerformedJobs(1, { only: MailJob }, async () => {
        await MailJob.performLater('a', { copies: 1 })
        await MailJob.set({ queue: 'low' }).performLater('b')
      })
      .catch((error: Error) => expect(error.message).toContain('1 jobs expected, but 2 were performed'))
    const job = await adapter.assertPerformedWith({ args: ['c'] }, () => MailJob.performLater('c'))
    expect(job.arguments).toEqual(['c'])
    await adapter.assertNoPerformedJobs({ queue: 'low' }, () => MailJob.performLater('d'))
    adapter.assertPerformedWith({ job: MailJob, args: ['c'] })
    expect(() => adapter.assertPerformedWith({ args: ['d'] })).toThrow(AssertionError)
    expect(() => adapter.assertNoPerformedJobs()).toThrow(AssertionError)
    await adapter.assertNoPerformedJobs({}, () => {})
  })

  test('reject with the unhandled error of a job, and jobs after the block wait again', async () => {
    class FailingJob extends Job {
      perform() {
        throw new Error('no')
      }
    }
    FailingJob.queueAdapter = adapter
    await expect(adapter.performEnqueuedJobs({}, () => FailingJob.performLater())).rejects.toThrow('no')
    await MailJob.performLater('after')
    adapter.assertEnqueuedJobs(1)
  })

  test('with steps stop at the checkpoint at which adapter.stopping returns true', async () => {
    class StepJob extends Job {
      static override continuable = true
      async perform() {
        await this.step('import', (step) => {
          for (let n = Number(step.cursor ?? 0); n < 3; n++) step.set(n + 1)
        })
      }
    }
    StepJob.queueAdapter = adapter
    let checkpoints = 0
    adapter.stopping = () => ++checkpoints === 2
    await StepJob.performLater()
    await adapter.performEnqueuedJobs()
    adapter.assertEnqueuedWith({ job: StepJob, at: (at) => at !== null })
    expect(JSON.parse(adapter.enqueuedJobs[0]?.serializedParams ?? '')).toMatchObject({
      continuation: { completed: [], current: ['import', 2] },
    })
    adapter.stopping = false
    await adapter.performEnqueuedJobs()
    adapter.assertNoEnqueuedJobs()
  })
})
