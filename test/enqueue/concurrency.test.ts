import { randomBytes } from 'node:crypto'
import type { Client } from 'pg'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConcurrencyExceededError, ConfigurationError, ThrottleExceededError } from '../../src/errors.ts'
import type { CallerTransaction } from '../../src/job/adapters/queue-adapter.ts'
import type { ConcurrencyOptions } from '../../src/job/concurrency/rules.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { advisoryKey } from '../../src/sql/advisory-lock.ts'
import { inTurn } from '../support/clean-up.ts'
import { jobClass, openWorld, record, until } from '../support/harness.ts'
import { controlled, ruled } from './limited-classes.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs'))

/** Each test has its clients; its locks end with it. */
const clients: Client[] = []
const connect = async (): Promise<Client> => {
  const client = await world.database.connect()
  clients.push(client)
  return client
}
afterEach(() => inTurn(...clients.splice(0).map((client) => () => client.end()))())

const stored = () => world.sql<{ id: string }>('SELECT id FROM good_jobs ORDER BY created_at, id')
const byFirst: ConcurrencyOptions = { key: (job) => `user-${job.arguments[0]}`, totalLimit: 1 }

/** Sessions that wait for an advisory lock. */
const waiting = async (): Promise<number> =>
  (
    await world.sql(
      `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    )
  ).length

/** Holds the lock of a scope as Ruby does. */
const holdLock = async (lockName: string): Promise<Client> => {
  const client = await connect()
  await client.query('BEGIN')
  await client.query('SELECT pg_advisory_xact_lock($1)', [advisoryKey(lockName)])
  return client
}

describe('a job that a rule refuses', () => {
  test('is not stored: performLater returns false, and enqueueError names scope and limit', async () => {
    const LimitedJob = controlled({ key: 'mail', totalLimit: 2 })
    await LimitedJob.performLater()
    await LimitedJob.performLater()
    const job = new LimitedJob()
    expect(await job.enqueue()).toBe(false)
    expect(job).toMatchObject({ successfullyEnqueued: false, providerJobId: null })
    expect(job.enqueueError).toBeInstanceOf(ConcurrencyExceededError)
    expect(job.enqueueError).not.toBeInstanceOf(ThrottleExceededError)
    expect(job.enqueueError).toMatchObject({ key: 'key:mail', limit: 2 })
    expect(job.enqueueError?.message).toBe('LimitedJob was not enqueued: the limit of 2 for key:mail is reached')
    expect(await stored()).toHaveLength(2)
    await world.sql('UPDATE good_jobs SET finished_at = now() WHERE id = (SELECT id FROM good_jobs LIMIT 1)')
    expect(await job.enqueue()).toBe(job)
    expect(job).toMatchObject({ successfullyEnqueued: true, enqueueError: null })
  })

  test('by a throttle has a ThrottleExceededError until the window has passed', async () => {
    const RuledJob = ruled({ label: 'sms', enqueueThrottle: [1, 60] })
    await RuledJob.performLater()
    await world.sql('UPDATE good_jobs SET finished_at = now()')
    const job = new RuledJob()
    expect(await job.enqueue()).toBe(false)
    expect(job.enqueueError).toBeInstanceOf(ThrottleExceededError)
    expect(job.enqueueError).toMatchObject({ key: 'label:sms', limit: 1 })
    expect(job.enqueueError?.message).toBe(
      'RuledJob was not enqueued: the throttle of 1 within 60 seconds for label:sms is used up',
    )
    await world.sql(`UPDATE good_jobs SET created_at = created_at - interval '61 seconds'`)
    expect(await job.enqueue()).toBe(job)
  })

  test('emits its refusal and an aborted enqueue; around callbacks go on, after callbacks do not run', async () => {
    const ran: string[] = []
    const LimitedJob = controlled({ key: 'mail', totalLimit: 0 })
    LimitedJob.beforeEnqueue(() => void ran.push('before'))
    LimitedJob.aroundEnqueue(async (_job, next) => {
      await next()
      ran.push('around')
    })
    LimitedJob.afterEnqueue(() => void ran.push('after'))
    const refusals = record('enqueue_concurrency_limit_exceeded')
    const enqueues = record('enqueue')
    const job = new LimitedJob()
    await job.enqueue()
    refusals.stop()
    enqueues.stop()
    expect(ran).toEqual(['before', 'around'])
    expect(refusals.seen).toEqual([expect.objectContaining({ jobId: job.jobId, key: 'key:mail', limit: 0 })])
    expect(enqueues.seen).toEqual([expect.objectContaining({ jobId: job.jobId, aborted: true })])
    expect(enqueues.seen[0]).not.toHaveProperty('error')
  })

  test('by one of several rules is refused, and the first of them is named', async () => {
    const RuledJob = ruled({ label: 'a', totalLimit: 2 }, { label: 'b', totalLimit: 1 }, { totalLimit: 1 })
    expect(await RuledJob.performLater()).toBeTruthy()
    const job = new RuledJob()
    expect(await job.enqueue()).toBe(false)
    expect(job.enqueueError).toMatchObject({ key: 'label:b' })
  })

  test('for one key leaves other keys alone', async () => {
    const LimitedJob = controlled(byFirst)
    expect(await LimitedJob.performLater(...([1] as never[]))).toBeTruthy()
    expect(await LimitedJob.performLater(...([2] as never[]))).toBeTruthy()
    expect(await LimitedJob.performLater(...([1] as never[]))).toBe(false)
  })
})

describe("in the caller's transaction", () => {
  test('jobs of the transaction count, and a rollback makes room', async () => {
    const LimitedJob = controlled({ key: 'mail', totalLimit: 1 })
    const client = await connect()
    const enqueue = () => LimitedJob.set({ transaction: client }).performLater()
    await client.query('BEGIN')
    expect(await enqueue()).toBeTruthy()
    const refusals = record('enqueue_concurrency_limit_exceeded')
    expect(await enqueue()).toBe(false)
    refusals.stop()
    expect(refusals.seen).toEqual([expect.objectContaining({ isInTransaction: true })])
    await client.query('ROLLBACK')
    expect(await stored()).toEqual([])
    await client.query('BEGIN')
    expect(await enqueue()).toBeTruthy()
    await client.query('COMMIT')
    expect(await LimitedJob.performLater()).toBe(false)
  })

  test('the lock is held to its end: another process waits, and counts the job', async () => {
    const LimitedJob = controlled({ key: 'mail', totalLimit: 1 })
    const client = await connect()
    await client.query('BEGIN')
    await LimitedJob.set({ transaction: client }).performLater()
    const other = LimitedJob.performLater()
    await until(async () => (await waiting()) === 1, 'the other enqueue waits')
    await client.query('COMMIT')
    expect(await other).toBe(false)
    expect(await stored()).toHaveLength(1)
  })

  test.each(['REPEATABLE READ', 'SERIALIZABLE'])('of the level %s it is refused by name', async (level) => {
    const LimitedJob = controlled({ key: 'mail', totalLimit: 1 })
    const client = await connect()
    await client.query(`BEGIN ISOLATION LEVEL ${level}`)
    const enqueue = LimitedJob.set({ transaction: client }).performLater()
    await expect(enqueue).rejects.toThrow(ConfigurationError)
    await expect(enqueue).rejects.toThrow('LimitedJob: its concurrency rules need a READ COMMITTED transaction')
    await jobClass('FreeJob', () => {})
      .set({ transaction: client })
      .performLater()
    await client.query('COMMIT')
    expect(await stored()).toHaveLength(1)
  })

  test('a class without enqueue rules takes one statement, also if it has a key and a performLimit', async () => {
    const client = await connect()
    await client.query('BEGIN')
    const texts: string[] = []
    const transaction: CallerTransaction = {
      query: (text, values) => {
        texts.push(text)
        return client.query(text, values)
      },
    }
    await controlled({ key: 'mail', performLimit: 1 }).set({ transaction }).performLater()
    expect(texts).toHaveLength(1)
    await controlled({ key: () => null, totalLimit: 1 })
      .set({ transaction })
      .performLater()
    expect(texts).toHaveLength(2)
    await client.query('COMMIT')
  })
})

describe('locks', () => {
  test('two classes with the same rules in another order do not deadlock', async () => {
    const [low = '', high = ''] = ['a', 'b'].sort((one, other) =>
      BigInt(advisoryKey(`label:${one}`)) < BigInt(advisoryKey(`label:${other}`)) ? -1 : 1,
    )
    const limits = [low, high].map((label) => ({ label, totalLimit: 9 }))
    const blocker = await holdLock(`label:${low}`)
    const enqueues = [ruled(...limits).performLater(), ruled(...limits.reverse()).performLater()]
    await until(async () => (await waiting()) === 2, 'both wait')
    await blocker.query('COMMIT')
    expect(await Promise.all(enqueues)).toEqual([expect.anything(), expect.anything()])
  })

  test('the time of a row is read after the wait, so that a throttle counts the row from there', async () => {
    const blocker = await holdLock('label:sms')
    const enqueue = ruled({ label: 'sms', enqueueThrottle: [5, 60] }).performLater()
    await until(async () => (await waiting()) === 1, 'the enqueue waits')
    const released = new Date()
    await blocker.query('COMMIT')
    await enqueue
    const [row] = await world.sql<{ created_at: Date }>('SELECT created_at FROM good_jobs')
    expect(row?.created_at.getTime()).toBeGreaterThanOrEqual(released.getTime())
  })

  test('a job committed during the wait counts', async () => {
    const blocker = await holdLock('mail')
    const enqueue = controlled({ key: 'mail', totalLimit: 1 }).performLater()
    await until(async () => (await waiting()) === 1, 'the enqueue waits')
    await world.insert({ concurrency_key: 'mail' })
    await blocker.query('COMMIT')
    expect(await enqueue).toBe(false)
  })
})

describe('bad input', () => {
  test('a key function that throws throws for the caller, and stores nothing', async () => {
    const BrokenJob = controlled({
      totalLimit: 1,
      key: () => {
        throw new RangeError('no account')
      },
    })
    await expect(BrokenJob.performLater()).rejects.toThrow(new RangeError('no account'))
    await expect(performAllLater([new BrokenJob()])).rejects.toThrow(new RangeError('no account'))
    expect(await stored()).toEqual([])
  })

  test('a key with U+0000 is refused by name', async () => {
    const job = controlled({ key: () => 'a\0b', totalLimit: 1 }).performLater()
    await expect(job).rejects.toThrow("Concurrency key must not contain the character U+0000: 'a\\x00b'")
  })

  test.each([
    ['an emoji', '🎉'],
    ['quotes, braces and backslashes', `'"{},\\null`],
    ['an unpaired surrogate', 'a\ud800'],
    ['the name of another scope', 'label:mail'],
    ['10 kB that compress', 'x'.repeat(10_000)],
  ])('a key or label that is %s is counted', async (_what, text) => {
    for (const LimitedJob of [controlled({ key: text, totalLimit: 1 }), ruled({ label: text, totalLimit: 1 })]) {
      expect(await LimitedJob.performLater()).toBeTruthy()
      expect(await LimitedJob.performLater()).toBe(false)
    }
  })

  test('a key too long for the index of Postgres is refused by Postgres, as in Ruby', async () => {
    const key = randomBytes(10_000).toString('hex')
    await expect(controlled({ key, totalLimit: 1 }).performLater()).rejects.toThrow(/index row/)
    expect(await controlled({ key: 'mail', totalLimit: 1 }).performLater()).toBeTruthy()
  })

  test('a throttle of a million years counts all jobs', async () => {
    const LimitedJob = controlled({ key: 'mail', enqueueThrottle: [1, 3e13] })
    await world.insert({ concurrency_key: 'mail', created_at: '1971-01-01' })
    expect(await LimitedJob.performLater()).toBe(false)
  })
})
