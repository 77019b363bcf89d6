import type { Worker } from 'node:worker_threads'
import type pg from 'pg'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Job, JobConstructor } from '../../src/job/base.ts'
import { releaseUnknownClaims } from '../../src/sql/claim/claim.ts'
import { releaseDeadProcesses } from '../../src/sql/process/dead.ts'
import { limitLockWaits } from '../../src/sql/transaction/savepoint.ts'
import type { Capsule } from '../../src/worker/capsule.ts'
import { ago, enqueue, Gate, jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'
import { sendMessage } from '../support/messages.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_processes'))

const EchoJob = jobClass('EchoJob', () => {})
const make = (made: JobConstructor): Job => new (made as new () => Job)()

const locks = new Set<pg.Client>()
const unlockAll = async (): Promise<void> => {
  const clients = [...locks]
  locks.clear()
  await Promise.all(clients.map((client) => client.end()))
}
afterEach(() => unlockAll())

/** Locks these rows in another session's transaction; returns the function that ends it. */
const lock = async (rows: string, values: unknown[]) => {
  const client = await world.database.connect()
  locks.add(client)
  await client.query('BEGIN')
  await client.query(`SELECT FROM ${rows} FOR UPDATE`, values)
  return () => client.query('ROLLBACK')
}

const othersGoOn = async (count: number): Promise<void> => {
  const done = next('perform_job', count, ({ jobClass: name }) => name === 'EchoJob')
  await world.adapter.enqueueAll(Array.from({ length: count }, () => make(EchoJob)))
  await done
}

const OPEN_EXECUTION = 'good_job_executions WHERE active_job_id = $1 AND finished_at IS NULL'

test.each([
  ['kept', true],
  ['deleted', false],
])(
  'an outcome whose execution row another session has locked waits alone: a job that is %s',
  async (_name, preserveJobRecords) => {
    const gate = new Gate()
    const GateJob = jobClass('GateJob', (job) => gate.pass(job))
    await using _capsule = await world.start({ jobs: [GateJob, EchoJob], preserveJobRecords, threads: 5 })
    const id = await enqueue(GateJob)
    await gate.entered
    const unlock = await lock(OPEN_EXECUTION, [id])
    const failures = record('outcome_write_failed')
    const held = next('outcome_held')
    gate.open()
    expect((await held)[0]).toMatchObject({ lockedId: id, jobId: id })
    await othersGoOn(40)
    expect(await world.job(id)).toMatchObject({ finished_at: null })
    const done = performed(id)
    await unlock()
    expect((await done)[0]).toMatchObject({ outcome: 'succeeded' })
    failures.stop()
    expect(failures.seen).toEqual([])
  },
)

test('the outcome of a job that deletes its records waits for the row lock of an earlier attempt; other outcomes do not', async () => {
  const gate = new Gate()
  const RetryJob = jobClass('RetryJob', async (job) => {
    if (job.executions === 1) return job.retryJob({ wait: 0 })
    await gate.pass(job)
  })
  await using _capsule = await world.start({ jobs: [RetryJob, EchoJob], preserveJobRecords: false, threads: 5 })
  const id = await enqueue(RetryJob)
  await gate.entered
  const unlock = await lock('good_job_executions WHERE active_job_id = $1 AND finished_at IS NOT NULL', [id])
  const held = next('outcome_held')
  gate.open()
  await held
  await othersGoOn(40)
  const done = next('perform_job', 1, ({ executions }) => executions === 2)
  await unlock()
  await done
  expect(await world.executions(id)).toEqual([])
})

test.each([
  ['at once', 0],
  ['in rounds', 60_000],
])(
  'a job whose last execution row another session has locked is not claimed; the others are: starts %s',
  async (_name, deferStart) => {
    const id = await world.insert({ job_class: 'EchoJob', performed_at: ago(60), priority: -1 })
    await world.sql(
      `INSERT INTO good_job_executions (id, created_at, updated_at, active_job_id) VALUES (gen_random_uuid(), now(), now(), $1)`,
      [id],
    )
    const unlock = await lock(OPEN_EXECUTION, [id])
    const failures = record('claim_failed')
    await using _capsule = await world.start({ jobs: [EchoJob], deferStart })
    await othersGoOn(40)
    expect(await world.job(id)).toMatchObject({ finished_at: null, locked_by_id: null })
    const done = performed(id)
    await unlock()
    await sendMessage(world.pool, '{}')
    await done
    failures.stop()
    expect(failures.seen).toEqual([])
    expect((await world.executions(id)).map(({ error_event }) => error_event).toSorted()).toEqual([0, null])
  },
)

test('a trigger that waits for an unknown lock delays one outcome and no other', async () => {
  await world.sql('CREATE TABLE accounts (id int PRIMARY KEY)')
  await world.sql('INSERT INTO accounts VALUES (1)')
  await world.sql(`CREATE FUNCTION touch_account() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.finished_at IS NOT NULL AND NEW.job_class = 'AccountJob' THEN PERFORM 1 FROM accounts FOR UPDATE; END IF;
      RETURN NEW;
    END $$`)
  await world.sql(
    'CREATE TRIGGER touch_account BEFORE UPDATE ON good_jobs FOR EACH ROW EXECUTE FUNCTION touch_account()',
  )
  const AccountJob = jobClass('AccountJob', () => {})
  const unlock = await lock('accounts', [])
  try {
    await using _capsule = await world.start({ jobs: [AccountJob, EchoJob], threads: 5 })
    const failing = next('outcome_write_failed')
    const id = await enqueue(AccountJob)
    await failing
    await othersGoOn(40)
    expect(await world.job(id)).toMatchObject({ finished_at: null })
    const done = performed(id)
    await unlock()
    await done
    expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
  } finally {
    await world.sql('DROP FUNCTION touch_account CASCADE')
    await world.sql('DROP TABLE accounts')
  }
})

test('all jobs of a dead process are released except one that another session has locked, which is released later', async () => {
  const dead = '00000000-0000-4000-8000-000000000001'
  await world.sql(
    `INSERT INTO good_job_processes (id, created_at, updated_at) VALUES ($1, now(), now() - interval '1 hour')`,
    [dead],
  )
  const columns = { locked_by_id: dead, locked_at: ago(3_600) }
  const [locked, free] = [await world.insert(columns), await world.insert(columns)]
  const unlock = await lock('good_jobs WHERE id = $1', [locked])
  const facts = await world.adapter.database.facts()
  const cleaner = { processId: dead.replace(/1$/, '2'), now: ago(0), notifies: false }
  const release = () => world.adapter.database.transaction((db) => releaseDeadProcesses(db, facts, cleaner))
  expect(await release()).toEqual({ ids: [], jobs: 1, promotedKeys: [] })
  expect(await world.job(free)).toMatchObject({ locked_by_id: null })
  await unlock()
  expect(await release()).toEqual({ ids: [dead], jobs: 1, promotedKeys: [] })
  expect(await world.job(locked)).toMatchObject({ locked_by_id: null })
})

test('all claims without an attempt are released except one that another session has locked', async () => {
  const processId = '00000000-0000-4000-8000-000000000003'
  const columns = { locked_by_id: processId, locked_at: ago(3_600) }
  const [locked, free] = [await world.insert(columns), await world.insert(columns)]
  const unlock = await lock('good_jobs WHERE id = $1', [locked])
  const facts = await world.adapter.database.facts()
  const options = { processId, knownIds: [], claimedAt: [], claimedBefore: ago(60) }
  expect(await releaseUnknownClaims(world.pool, facts, options)).toBe(1)
  expect(await world.job(free)).toMatchObject({ locked_by_id: null })
  await unlock()
  expect(await releaseUnknownClaims(world.pool, facts, options)).toBe(1)
})

test('a dead process whose row another session has locked is skipped; the others are cleaned up without a wait', async () => {
  const dead = ['00000000-0000-4000-8000-000000000004', '00000000-0000-4000-8000-000000000005'] as const
  const jobs: string[] = []
  for (const id of dead) {
    await world.sql(
      `INSERT INTO good_job_processes (id, created_at, updated_at) VALUES ($1, now(), now() - interval '1 hour')`,
      [id],
    )
    jobs.push(await world.insert({ locked_by_id: id, locked_at: ago(3_600) }))
  }
  const owners = async () => (await Promise.all(jobs.map(world.job))).map(({ locked_by_id }) => locked_by_id)
  const unlock = await lock('good_job_processes WHERE id = $1', [dead[0]])
  const facts = await world.adapter.database.facts()
  const cleaner = { processId: dead[0].replace(/4$/, '6'), now: ago(0), notifies: false }
  const release = () =>
    world.adapter.database.transaction(async (db) => {
      await limitLockWaits(db, 1)
      return releaseDeadProcesses(db, facts, cleaner)
    })
  expect(await release()).toEqual({ ids: [dead[1]], jobs: 1, promotedKeys: [] })
  expect(await owners()).toEqual([dead[0], null])
  await unlock()
  expect(await release()).toEqual({ ids: [dead[0]], jobs: 1, promotedKeys: [] })
  expect(await owners()).toEqual([null, null])
})

describe('a locked process row with a due heartbeat delays no job, no outcome and no shutdown', () => {
  /** The promise is two seconds beyond the timeout; the rest is for a busy machine. */
  const LATE_MS = 2_000 + 1_500
  const PROCESS_ROW = 'good_job_processes WHERE id = $1'
  const stopsInTime = async (capsule: Capsule): Promise<void> => {
    const since = performance.now()
    await capsule.shutdown({ timeout: 1 })
    expect(performance.now() - since).toBeLessThan(1_000 + LATE_MS)
  }
  const noRow = () =>
    until(async () => (await world.sql('SELECT FROM good_job_processes')).length === 0, 'no process row')

  test('while the thread sends the heartbeat', async () => {
    const threads: Worker[] = []
    const note = (thread: Worker) => threads.push(thread)
    process.on('worker', note)
    await using capsule = await world.start({ jobs: [EchoJob] })
    await othersGoOn(1)
    process.off('worker', note)
    const unlock = await lock(PROCESS_ROW, [capsule.processId])
    expect(threads).toHaveLength(1)
    threads[0]?.postMessage({ type: 'beat' })
    const waits = `SELECT FROM pg_stat_activity
      WHERE application_name = 'GoodJob::Process' AND wait_event_type = 'Lock' AND datname = current_database()`
    await until(async () => (await world.sql(waits)).length === 1, 'the beat waits')
    await othersGoOn(40)
    await stopsInTime(capsule)
    await unlock()
    await noRow()
  })

  test('while the event loop sends the heartbeat', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      await using capsule = await world.start({ jobs: [EchoJob] })
      const unlock = await lock(PROCESS_ROW, [capsule.processId])
      const failed = next('process_heartbeat_failed')
      vi.advanceTimersByTime(25_000)
      await othersGoOn(40)
      expect((await failed)[0]?.error).toMatch(/lock timeout/)
      vi.advanceTimersByTime(25_000)
      await stopsInTime(capsule)
      await unlock()
      await noRow()
    } finally {
      vi.useRealTimers()
    }
  })
})
