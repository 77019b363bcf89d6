import { describe, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { currentEnqueueContext, currentJob, withEnqueueContext } from '../../src/job/context.ts'
import { perform } from './fixtures.ts'

describe('the current job', () => {
  test('is known in perform, after an await, in a timer and in callbacks, and nowhere else', async () => {
    const seen: unknown[] = []
    class TracedJob extends Job {
      async perform() {
        seen.push(currentJob())
        await new Promise((resolve) => setImmediate(resolve))
        seen.push(currentJob())
      }
    }
    TracedJob.beforePerform(() => seen.push(currentJob()))
    TracedJob.retryOn(Error, { wait: () => void seen.push(currentJob()) })
    const job = new TracedJob()
    await job.performNow()
    expect(seen).toEqual([job, job, job])
    expect(currentJob()).toBeUndefined()
  })

  test('is the inner one in a performNow inside a job, and then the outer one again', async () => {
    const names: unknown[] = []
    class InnerJob extends Job {
      perform() {
        names.push(currentJob()?.jobClass)
      }
    }
    class OuterJob extends Job {
      async perform() {
        await InnerJob.performNow()
        names.push(currentJob()?.jobClass)
      }
    }
    await OuterJob.performNow()
    expect(names).toEqual(['InnerJob', 'OuterJob'])
  })
})

describe('the enqueue context', () => {
  test('follows async code, and the innermost wins', async () => {
    const seen: unknown[] = []
    await withEnqueueContext({ batchId: 'outer' }, async () => {
      await null
      seen.push(currentEnqueueContext())
      await withEnqueueContext({ batchCallbackId: 'inner' }, async () => {
        await null
        seen.push(currentEnqueueContext())
      })
      seen.push(currentEnqueueContext())
    })
    expect(seen).toEqual([{ batchId: 'outer' }, { batchCallbackId: 'inner' }, { batchId: 'outer' }])
    expect(currentEnqueueContext()).toEqual({})
  })

  test('is empty while an attempt runs, so that what a member enqueues does not join its batch [GJ-070]', async () => {
    const seen: unknown[] = []
    class MemberJob extends Job {
      async perform() {
        await null
        seen.push(currentEnqueueContext())
      }
    }
    await withEnqueueContext({ batchId: 'outer' }, () => perform(new MemberJob()))
    expect(seen).toEqual([{}])
  })
})
