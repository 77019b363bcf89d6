import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import type { Job } from '../../src/job/base.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { enqueue, jobClass, openWorld } from '../support/harness.ts'
import { messagesDuring } from '../support/messages.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs'))

const EchoJob = jobClass('EchoJob', () => {})
const make = (): Job => new (EchoJob as unknown as new () => Job)()
const rows = () => world.sql('SELECT * FROM good_jobs')

describe("inside the caller's transaction", () => {
  test('jobs and NOTIFY messages appear with the commit, and never after a rollback [GJ-018, GJ-020]', async () => {
    const client = await world.database.connect()
    for (const end of ['ROLLBACK', 'COMMIT']) {
      const messages = await messagesDuring(world.database, async () => {
        await client.query('BEGIN')
        await enqueue(EchoJob, { transaction: client as never })
        await performAllLater([make(), make()], { transaction: client as never })
        expect(await rows()).toEqual([])
        await client.query(end)
      })
      expect(messages).toHaveLength(end === 'COMMIT' ? 2 : 0)
      expect(await rows()).toHaveLength(end === 'COMMIT' ? 3 : 0)
    }
    await client.end()
  })

  test('a rollback leaves no row, also if a callback threw; callbacks run at the call, as in Rails 7.2 and 8.0 [AJ-073]', async () => {
    const ran: string[] = []
    const CallbackJob = jobClass(
      'CallbackJob',
      () => {},
      (made) => {
        made.beforeEnqueue(() => void ran.push('before'))
        made.afterEnqueue(() => void ran.push('after'))
      },
    )
    const client = await world.database.connect()
    await client.query('BEGIN')
    const job = await CallbackJob.set({ transaction: client as never }).performLater()
    expect(ran).toEqual(['before', 'after'])
    expect(job).toMatchObject({ successfullyEnqueued: true, providerJobId: job ? job.jobId : '' })
    const { rows: inside } = await client.query('SELECT id FROM good_jobs')
    expect(inside).toEqual([{ id: job ? job.jobId : '' }])
    await client.query('ROLLBACK')
    expect(await rows()).toEqual([])

    const ThrowingJob = jobClass(
      'ThrowingJob',
      () => {},
      (made) => {
        made.afterEnqueue(() => {
          throw new Error('after the insert')
        })
      },
    )
    await client.query('BEGIN')
    await expect(ThrowingJob.set({ transaction: client as never }).performLater()).rejects.toThrow('after the insert')
    await client.query('ROLLBACK')
    expect(await rows()).toEqual([])
    await client.end()
  })
})
