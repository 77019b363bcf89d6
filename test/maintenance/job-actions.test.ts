import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { ActionForStateMismatchError, RecordAlreadyAdvisoryLockedError, RecordMissingError } from '../../src/errors.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { ago, enqueue, Gate, jobClass, next, openWorld, performed, type Row } from '../support/harness.ts'
import { messagesDuring } from '../support/messages.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

const EchoJob = jobClass('EchoJob', () => {})
const { adapter } = world

const WAITING: Row = {}
const SCHEDULED: Row = { scheduled_at: ago(-3600) }
const SUCCEEDED: Row = { performed_at: ago(9), finished_at: ago(8), executions_count: 1 }
const DISCARDED: Row = { ...SUCCEEDED, error: 'StandardError: boom', error_event: 1 }

const ACTIONS = {
  retry: (id: string) => adapter.retryJob(id),
  discard: (id: string) => adapter.discardJob(id),
  forceDiscard: (id: string) => adapter.forceDiscardJob(id),
  reschedule: (id: string) => adapter.rescheduleJob(id, new Date('2030-01-01T00:00:00Z')),
  destroy: (id: string) => adapter.destroyJob(id),
}
type Action = keyof typeof ACTIONS

describe('guards', () => {
  const allowed: Record<string, Action[]> = {
    waiting: ['discard', 'forceDiscard', 'reschedule'],
    scheduled: ['discard', 'forceDiscard', 'reschedule'],
    succeeded: ['destroy'],
    discarded: ['retry', 'destroy'],
  }
  const states: Record<string, Row> = {
    waiting: WAITING,
    scheduled: SCHEDULED,
    succeeded: SUCCEEDED,
    discarded: DISCARDED,
  }
  const cases = Object.keys(states).flatMap((state) =>
    (Object.keys(ACTIONS) as Action[]).map((action): [string, Action, boolean] => [
      state,
      action,
      allowed[state]?.includes(action) ?? false,
    ]),
  )
  test.each(cases)('a %s job and %s: %s', async (state, action, isAllowed) => {
    const id = await world.insert({ ...states[state] })
    const before = await world.job(id)
    if (isAllowed) await ACTIONS[action](id)
    else {
      await expect(ACTIONS[action](id)).rejects.toThrow(ActionForStateMismatchError)
      expect(await world.job(id)).toEqual(before)
    }
  })

  test.each(Object.keys(ACTIONS) as Action[])(
    '%s of a job that does not exist throws an error that says so',
    async (action) => {
      await expect(ACTIONS[action](randomUUID())).rejects.toThrow(RecordMissingError)
    },
  )

  test('while a job runs only a force-discard is allowed, and the lock stays with the worker', async () => {
    const gate = new Gate()
    const GateJob = jobClass('GateJob', (job) => gate.pass(job))
    await using _capsule = await world.start({ jobs: [GateJob] })
    const id = await enqueue(GateJob)
    await gate.entered
    for (const action of ['discard', 'reschedule', 'retry', 'destroy'] as const)
      await expect(ACTIONS[action](id)).rejects.toThrow(RecordAlreadyAdvisoryLockedError)
    const lost = next('outcome_lost')
    await ACTIONS.forceDiscard(id)
    gate.open()
    expect((await lost)[0]?.reason).toMatch(/finished by another session/)
  })
})

test('a retried job waits as if enqueued now, and keeps its error, counters and unknown keys [GJ-018]', async () => {
  const id = await world.insert({
    ...DISCARDED,
    created_at: ago(100),
    labels: ['a'],
    cron_key: 'daily',
    cron_at: '2026-01-31 12:00:00',
    queue_name: 'column',
    serialized_params: `{"job_class":"EchoJob","arguments":[1e400,{"a":12345678901234567890}],"queue_name":"low","priority":4,"executions":2,
      "exception_executions":{"[StandardError]":2},"unknown":[null]}`,
  })
  const before = await world.job(id)
  const messages = await messagesDuring(world.database, () => adapter.retryJob(id))
  const row = await world.job(id)
  expect(row).toMatchObject({
    queue_name: 'low',
    priority: 4,
    performed_at: null,
    finished_at: null,
    error: 'StandardError: boom',
    error_event: 3,
    executions_count: 1,
    labels: ['a'],
    cron_key: 'daily',
    cron_at: before.cron_at,
  })
  // Two readings of the clock, as in Ruby.
  const [due, created] = [row.scheduled_at as Date, row.created_at as Date]
  expect(Math.abs(created.getTime() - due.getTime())).toBeLessThan(1_000)
  expect(Date.now() - due.getTime()).toBeLessThan(5_000)
  expect(messages.map((message) => JSON.parse(message))).toEqual([
    { queue_name: 'low', scheduled_at: (row.scheduled_at as Date).toISOString() },
  ])
  const [params] = await world.sql(
    `SELECT serialized_params->>'executions' AS executions, serialized_params->'exception_executions' AS counters, serialized_params->'unknown' AS unknown,
       serialized_params->>'provider_job_id' AS provider, length(serialized_params->'arguments'->>0) AS digits,
       serialized_params->'arguments'->1->>'a' AS big FROM good_jobs`,
  )
  expect(params).toEqual({
    executions: '3',
    counters: { '[StandardError]': 2 },
    unknown: [null],
    provider: id,
    digits: 401,
    big: '12345678901234567890',
  })
})

test('a retried job runs, and its success clears the error [GJ-047]', async () => {
  const id = await world.insert(DISCARDED)
  await using _capsule = await world.start({ jobs: [EchoJob], pollInterval: -1 })
  const done = performed(id)
  await adapter.retryJob(id)
  await done
  expect(await world.job(id)).toMatchObject({ error: null, error_event: null, executions_count: 2 })
})

test('with the scheduled_at order a retry keeps created_at [GJ-057]', async () => {
  const other = new Adapter({ databaseUrl: world.url, dequeueQuerySort: 'scheduled_at' })
  const id = await world.insert({ ...DISCARDED, created_at: ago(100) })
  const { created_at: before } = await world.job(id)
  await other.retryJob(id)
  expect((await world.job(id)).created_at).toEqual(before)
  await other.close()
})

test.each([
  ['executions', { executions: 1 }],
  ['priority', { executions: 1, priority: 'many' }],
])('a retry of a row whose %s is no number counts from zero, and fails no other job', async (key, params) => {
  const id = await world.insert({
    ...DISCARDED,
    serialized_params: JSON.stringify({ job_class: 'EchoJob', arguments: [], [key]: 'many' }),
  })
  await adapter.retryJob(id)
  expect(await world.job(id)).toMatchObject({
    finished_at: null,
    priority: 0,
    serialized_params: expect.objectContaining(params),
  })
})

test('discard and force discard close every open execution with the end of the job [GJ-091]', async () => {
  for (const action of [adapter.discardJob.bind(adapter), adapter.forceDiscardJob.bind(adapter)]) {
    const id = await world.insert({ performed_at: ago(60), executions_count: 2 })
    for (const seconds of [60, 30])
      await world.sql(`INSERT INTO good_job_executions (active_job_id, created_at, updated_at) VALUES ($1, $2, $2)`, [
        id,
        ago(seconds),
      ])
    await world.sql(
      `INSERT INTO good_job_executions (active_job_id, created_at, updated_at, finished_at, error) VALUES ($1, $2, $2, $2, 'before')`,
      [id, ago(90)],
    )
    await action(id, 'not needed')
    const job = await world.job(id)
    const error = 'GoodJob::Job::DiscardJobError: not needed'
    expect(job).toMatchObject({ error, error_event: 5 })
    const [ended, ...open] = await world.executions(id)
    expect(ended).toMatchObject({ error: 'before' })
    for (const execution of open) {
      expect(execution).toMatchObject({ error, error_event: 5, error_backtrace: null, finished_at: job.finished_at })
      expect(Number(execution.updated_at)).toBeGreaterThanOrEqual(Number(job.finished_at))
    }
    const durations = await world.sql<{ off: number }>(
      `SELECT abs(extract(epoch FROM duration - (finished_at - created_at)))::float8 AS off FROM good_job_executions WHERE active_job_id = $1 AND error = $2`,
      [id, error],
    )
    expect(durations.map(({ off }) => off)).toEqual([0, 0])
  }
})

test('rescheduling changes scheduled_at and sends no NOTIFY message', async () => {
  const id = await world.insert()
  const at = new Date('2030-01-01T00:00:00.123Z')
  expect(await messagesDuring(world.database, () => adapter.rescheduleJob(id, at))).toEqual([])
  expect((await world.job(id)).scheduled_at).toEqual(at)
})

test('destroying deletes the job with its executions', async () => {
  const id = await world.insert(SUCCEEDED)
  await world.sql('INSERT INTO good_job_executions (active_job_id, created_at, updated_at) VALUES ($1, $2, $2)', [
    id,
    ago(9),
  ])
  await adapter.destroyJob(id)
  expect(await world.sql('SELECT id FROM good_jobs')).toEqual([])
  expect(await world.executions(id)).toEqual([])
})

test('of two sessions that retry or discard the same job at the same moment, one succeeds', async () => {
  for (let round = 0; round < 10; round++) {
    const discarded = await world.insert(DISCARDED)
    const retries = await Promise.allSettled(Array.from({ length: 4 }, () => adapter.retryJob(discarded)))
    expect(retries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const waiting = await world.insert()
    const discards = await Promise.allSettled(Array.from({ length: 4 }, () => adapter.discardJob(waiting)))
    expect(discards.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  }
  const [params] = await world.sql(`SELECT max((serialized_params->>'executions')::int) AS executions FROM good_jobs`)
  expect(params).toEqual({ executions: 1 })
})
