import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Capsule, CapsuleOptions } from '../../src/worker/capsule.ts'
import {
  ago,
  Gate,
  jobClass,
  next,
  openWorld,
  performed,
  type Row,
  record,
  until,
  type World,
} from '../support/harness.ts'
import { messagesDuring } from '../support/messages.ts'
import { noLocks } from '../support/sessions.ts'

// Rows as GoodJob 4.23.1 writes them: concurrency_claim.rb#upsert_claim.
const [WAITING, GRANTED, PROMOTION_PENDING, PROMOTED] = [0, 1, 2, 3]

let gate = new Gate()
const Gated = jobClass('Gated', (job) => gate.pass(job))
const Plain = jobClass('Plain', () => undefined)
const Retried = jobClass(
  'Retried',
  () => {
    throw new Error('once more')
  },
  (made) => made.retryOn(Error, { wait: 3_600, attempts: 5 }),
)

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())
beforeEach(async () => {
  gate = new Gate()
  await world.sql('TRUNCATE good_jobs, good_job_executions, good_job_processes, good_job_concurrency_claims')
})

const claim = async (key: string, jobId: string, state: number, more: Row = {}): Promise<void> => {
  const row = { key, job_id: jobId, state, created_at: ago(60), updated_at: ago(60), ...more }
  const names = Object.keys(row)
  await world.sql(
    `INSERT INTO good_job_concurrency_claims (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`)})`,
    Object.values(row),
  )
}
const claimsOf = (...jobIds: string[]) =>
  world.sql<{ key: string; state: number; locked_by_id: string | null }>(
    'SELECT key, state, locked_by_id FROM good_job_concurrency_claims WHERE job_id = ANY ($1) ORDER BY array_position($1, job_id), key',
    [jobIds],
  )
const stateOf = async (jobId: string) => (await claimsOf(jobId))[0]?.state

/** A job that Ruby refused `seconds` ago and that waits for its retry in an hour; this worker does not have its class. */
const waiter = async (key: string, seconds: number, columns: Row = {}): Promise<string> => {
  const id = await world.insert({ job_class: 'Rubys', scheduled_at: ago(-3_600), ...columns })
  await claim(key, id, WAITING, { created_at: ago(seconds) })
  return id
}
const isDue = async (id: string) => ((await world.job(id)).scheduled_at as Date).getTime() <= Date.now()
const settled = (id: string) =>
  until(
    async () => (await world.job(id)).locked_by_id === null && (await claimsOf(id)).length === 0,
    'the slot of the job is free',
  )

const worker = (options: Partial<CapsuleOptions> = {}): Promise<Capsule> =>
  world.start({ jobs: [Gated, Plain, Retried], ...options })

describe.each([
  ['at once', {}],
  ['deferred', { deferStart: 2_000 }],
])('with starts written %s', (_, options) => {
  test.each([WAITING, PROMOTION_PENDING, PROMOTED])(
    'a job that Ruby refused (claim in state %i) has a granted claim before perform begins, and none after its end [GJ-133]',
    async (state) => {
      const id = await world.insert({ job_class: 'Gated' })
      await claim('all', id, state)
      await using capsule = await worker(options)
      await gate.entered
      expect(await claimsOf(id)).toEqual([{ key: 'all', state: GRANTED, locked_by_id: capsule.processId }])
      // GJ-134: Ruby counts rows whose start is committed.
      expect(await world.job(id)).toMatchObject({ locked_by_id: capsule.processId, performed_at: expect.any(Date) })
      gate.open()
      await settled(id)
    },
  )

  test('while a rule counts all jobs, the start of any job is committed before perform begins [GJ-134]', async () => {
    const id = await world.insert({ job_class: 'Gated' })
    await claim('all', randomUUID(), GRANTED, { locked_by_id: randomUUID() })
    await using _capsule = await worker(options)
    await gate.entered
    expect((await world.job(id)).performed_at).toBeInstanceOf(Date)
    gate.open()
  })
})

test('a job whose claim another session has locked starts only when the claim can be granted; other jobs run meanwhile', async () => {
  const held = await world.insert({ job_class: 'Plain' })
  await claim('key:Plain', held, WAITING)
  const free = await world.insert({ job_class: 'Plain' })
  const promoter = await world.database.connect()
  await promoter.query('BEGIN')
  await promoter.query('SELECT FROM good_job_concurrency_claims FOR UPDATE')
  const freeDone = performed(free)
  await using _capsule = await worker()
  await freeDone
  expect(await world.job(held)).toMatchObject({ performed_at: null, locked_by_id: null, finished_at: null })
  const heldDone = performed(held)
  // As Ruby promotes: the row of the job, the state of the claim, a message after the commit.
  await promoter.query(`UPDATE good_jobs SET scheduled_at = now() AT TIME ZONE 'UTC' WHERE performed_at IS NULL`)
  await promoter.query('UPDATE good_job_concurrency_claims SET state = 3')
  await promoter.query(`SELECT pg_notify('good_job', '{"queue_name":"default"}')`)
  await promoter.query('COMMIT')
  await heldDone
  await promoter.end()
})

test('the end of a job promotes the oldest waiting job for each of its label, key and claims, and notifies the workers', async () => {
  const id = await world.insert({ job_class: 'Gated', labels: ['mail', ' news '], concurrency_key: 'tenant' })
  await using _capsule = await worker()
  await gate.entered
  await claim('other', id, GRANTED, { locked_by_id: (await world.job(id)).locked_by_id })
  const older = await Promise.all(
    ['label:mail', 'label:news', 'key:tenant', 'all', 'other'].map((key) => waiter(key, 40)),
  )
  const younger = await Promise.all(
    ['label:mail', 'label:news', 'key:tenant', 'all', 'other'].map((key) => waiter(key, 20)),
  )
  const unrelated = await waiter('label:sms', 60)
  const messages = await messagesDuring(world.database, async () => {
    gate.open()
    // The place is freed before the jobs that waited for it are promoted.
    await until(async () => (await stateOf(older[0] ?? '')) === PROMOTED, 'the waiting jobs are promoted')
  })
  expect(await Promise.all(older.map(isDue))).toEqual([true, true, true, true, true])
  expect(await Promise.all(older.map(stateOf))).toEqual(older.map(() => PROMOTED))
  expect(await Promise.all([...younger, unrelated].map(isDue))).toEqual([...younger, unrelated].map(() => false))
  expect(await Promise.all([...younger, unrelated].map(stateOf))).toEqual([...younger, unrelated].map(() => WAITING))
  // Postgres sends equal messages of one transaction once.
  expect(messages).toEqual(['{"queue_name" : "default"}'])
})

test('each ended job frees one slot: three jobs of a key promote three waiting jobs', async () => {
  const ids = await Promise.all([1, 2, 3].map(() => world.insert({ job_class: 'Plain', concurrency_key: 'k' })))
  const waiters = await Promise.all([50, 40, 30, 20].map((seconds) => waiter('key:k', seconds)))
  const done = performed(...ids)
  await using _capsule = await worker()
  await done
  await until(async () => (await stateOf(waiters[2] ?? '')) === PROMOTED, 'the third is promoted')
  expect(await Promise.all(waiters.map(stateOf))).toEqual([PROMOTED, PROMOTED, PROMOTED, WAITING])
})

test('a job whose refused attempt still runs is promoted only after that attempt, and a finished job is skipped', async () => {
  const id = await world.insert({ job_class: 'Plain', concurrency_key: 'k' })
  await waiter('key:k', 60, { finished_at: ago(1) })
  const refused = await waiter('key:k', 50, { performed_at: ago(1), locked_by_id: randomUUID(), locked_at: ago(1) })
  const done = performed(id)
  await using _capsule = await worker()
  await done
  await until(async () => (await stateOf(refused)) === PROMOTION_PENDING, 'its promotion is pending')
  expect(await isDue(refused)).toBe(false)
})

test('an outcome waits for no row of a waiting job and for no claim', async () => {
  const id = await world.insert({ job_class: 'Gated', concurrency_key: 'k' })
  await using _capsule = await worker()
  await gate.entered
  const locked = await waiter('key:k', 60)
  await claim('key:k', id, GRANTED, { locked_by_id: (await world.job(id)).locked_by_id })
  const person = await world.database.connect()
  await person.query('BEGIN')
  await person.query('SELECT FROM good_jobs WHERE id = $1 FOR UPDATE', [locked])
  await person.query('SELECT FROM good_job_concurrency_claims WHERE job_id = $1 FOR UPDATE', [id])
  const errors = record('worker_error')
  const done = performed(id)
  gate.open()
  await done
  // The lock of the job is released when its outcome is settled.
  await noLocks(world)
  errors.stop()
  expect(errors.seen).toEqual([])
  expect(await stateOf(locked)).toBe(WAITING)
  expect(await stateOf(id)).toBe(GRANTED)
  await person.query('COMMIT')
  await person.end()
})

test('a retry frees its slot as well', async () => {
  const id = await world.insert({ job_class: 'Retried' })
  await claim('label:x', id, PROMOTED)
  const waiting = await waiter('label:x', 30)
  const done = performed(id)
  await using _capsule = await worker()
  await done
  await until(async () => (await stateOf(waiting)) === PROMOTED, 'the waiting job is promoted')
  expect(await claimsOf(id)).toEqual([])
  expect((await world.job(id)).finished_at).toBeNull()
})

test('the end of a force-discarded job deletes its own claims only, not those of a worker that runs the job since', async () => {
  const id = await world.insert({ job_class: 'Gated' })
  await claim('label:x', id, WAITING)
  await using _capsule = await worker()
  await gate.entered
  const other = randomUUID()
  await claim('label:y', id, GRANTED, { locked_by_id: other })
  await world.sql('UPDATE good_jobs SET finished_at = now(), error = $2 WHERE id = $1', [id, 'discarded'])
  gate.open()
  await until(async () => (await claimsOf(id)).length === 1, 'its own claim is gone')
  expect(await claimsOf(id)).toEqual([{ key: 'label:y', state: GRANTED, locked_by_id: other }])
})

test('a cleanup promotes one waiting job for each granted claim of a dead process [GJ-100]', async () => {
  const [dead, alive] = [randomUUID(), randomUUID()]
  for (const [id, age] of [
    [dead, 400],
    [alive, 1],
  ] as const) {
    await world.sql(`INSERT INTO good_job_processes (id, created_at, updated_at, state) VALUES ($1, $2, $2, '{}')`, [
      id,
      ago(age),
    ])
  }
  const running = async (owner: string, key: string) => {
    const id = await world.insert({
      job_class: 'Rubys',
      performed_at: ago(300),
      locked_by_id: owner,
      locked_at: ago(300),
    })
    await claim(key, id, GRANTED, { locked_by_id: owner })
    return id
  }
  const lost = [await running(dead, 'label:a'), await running(dead, 'label:a'), await running(dead, 'label:b')]
  const kept = await running(alive, 'label:c')
  const waiting = await Promise.all(
    ['label:a', 'label:a', 'label:a', 'label:b', 'label:c'].map((key, index) => waiter(key, 60 - index)),
  )
  const released = next('processes_released')
  const messages = await messagesDuring(world.database, async () => {
    await using _capsule = await worker()
    await released
  })
  expect(await claimsOf(...lost)).toEqual([])
  expect(await stateOf(kept)).toBe(GRANTED)
  expect(await Promise.all(waiting.map(stateOf))).toEqual([PROMOTED, PROMOTED, WAITING, PROMOTED, WAITING])
  expect(await Promise.all(waiting.map(isDue))).toEqual([true, true, false, true, false])
  expect(messages.filter((message) => message === '{"queue_name" : "default"}')).toHaveLength(1)
})

test('with enableListenNotify off a waiting job is promoted without a message', async () => {
  const id = await world.insert({ job_class: 'Plain', concurrency_key: 'k' })
  const waiting = await waiter('key:k', 30)
  const messages = await messagesDuring(world.database, async () => {
    await using _capsule = await worker({ enableListenNotify: false })
    await until(async () => (await stateOf(waiting)) === PROMOTED, 'the waiting job is promoted')
  })
  expect(messages).toEqual([])
  expect((await world.job(id)).finished_at).toBeInstanceOf(Date)
})
