import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ActionForStateMismatchError, RecordAlreadyAdvisoryLockedError, RecordMissingError } from '../../src/errors.ts'
import { advisoryKey } from '../../src/sql/advisory-lock.ts'
import { ago, enqueue, Gate, jobClass, openWorld, paramsOf, performed, until, type World } from '../support/harness.ts'
import { messagesDuring } from '../support/messages.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const discarded = (columns: Record<string, unknown> = {}) =>
  world.insert({
    job_class: 'Echo',
    performed_at: ago(1),
    finished_at: ago(1),
    error: 'X: boom',
    error_event: 1,
    executions_count: 1,
    ...columns,
  })

describe('retry', () => {
  test('makes a discarded job wait again as GoodJob does, and notifies the workers; unknown keys are kept', async () => {
    const id = randomUUID()
    const params = {
      ...paramsOf('Echo', id),
      queue_name: 'low',
      priority: 7,
      executions: 2,
      exception_executions: { '[X]': 2 },
      mixin: { deep: [1.5] },
    }
    await discarded({ id, serialized_params: JSON.stringify(params) })
    const before = Date.now()
    const seen = await messagesDuring(world.database, () => world.adapter.retryJob(id))
    const after = Date.now()
    const row = await world.job(id)
    expect(row).toMatchObject({
      performed_at: null,
      finished_at: null,
      error: 'X: boom',
      error_event: 3,
      queue_name: 'low',
      priority: 7,
      executions_count: 1,
    })
    expect(row.serialized_params).toMatchObject({
      executions: 3,
      exception_executions: { '[X]': 2 },
      provider_job_id: id,
      mixin: { deep: [1.5] },
    })
    // Two readings of the clock, as in Ruby.
    const [scheduledAt, createdAt] = [row.scheduled_at, row.created_at].map((time) => (time as Date).getTime())
    expect([before, scheduledAt, createdAt, after]).toEqual([before, scheduledAt, createdAt, after].toSorted())
    expect(seen.map((text) => JSON.parse(text).queue_name)).toEqual(['low'])
  })

  test('refuses jobs that are not discarded, are locked, or do not exist', async () => {
    const waiting = await world.insert({ job_class: 'Echo', scheduled_at: ago(-60) })
    await expect(world.adapter.retryJob(waiting)).rejects.toThrow(ActionForStateMismatchError)
    const succeeded = await world.insert({ job_class: 'Echo', finished_at: ago(1) })
    await expect(world.adapter.retryJob(succeeded)).rejects.toThrow(/it is succeeded, only discarded jobs can/)
    await expect(world.adapter.retryJob(randomUUID())).rejects.toThrow(RecordMissingError)
    const locked = await discarded()
    const holder = await world.database.connect()
    await holder.query('SELECT pg_advisory_lock($1)', [advisoryKey(`good_jobs-${locked}`)])
    await expect(world.adapter.retryJob(locked)).rejects.toThrow(RecordAlreadyAdvisoryLockedError)
    await holder.end()
  })
})

test('discard ends a waiting job with its open execution; a running one only by force [GJ-084] [GJ-091]', async () => {
  const gate = new Gate()
  const Slow = jobClass('Slow', (job) => gate.pass(job))
  await using _capsule = await world.start({ jobs: [Slow] })
  const id = await enqueue(Slow)
  await gate.entered
  await expect(world.adapter.discardJob(id)).rejects.toThrow(RecordAlreadyAdvisoryLockedError)
  await expect(world.adapter.rescheduleJob(id, new Date())).rejects.toThrow(RecordAlreadyAdvisoryLockedError)
  await world.adapter.forceDiscardJob(id, 'enough')
  const row = await world.job(id)
  expect(row).toMatchObject({ error: 'GoodJob::Job::DiscardJobError: enough', error_event: 5 })
  const [execution] = await world.executions(id)
  expect(execution).toMatchObject({ error: row.error, error_event: 5, error_backtrace: null })
  expect(execution?.finished_at).toEqual(row.finished_at)
  expect(
    await world.sql(`SELECT duration >= interval '0' AS ok FROM good_job_executions WHERE active_job_id = $1`, [id]),
  ).toEqual([{ ok: true }])
  gate.open()
  await until(async () => (await world.job(id)).locked_by_id === null, 'released')
  await expect(world.adapter.discardJob(id)).rejects.toThrow(/it is discarded/)
})

test('reschedule changes scheduled_at and sends no NOTIFY message', async () => {
  const id = await world.insert({ job_class: 'Echo', scheduled_at: ago(-600) })
  const at = new Date(Date.now() + 60_000)
  expect(await messagesDuring(world.database, () => world.adapter.rescheduleJob(id, at))).toEqual([])
  expect((await world.job(id)).scheduled_at).toEqual(at)
})

test('destroy deletes a finished job with its executions', async () => {
  const Echo = jobClass('Echo', () => undefined)
  await using _capsule = await world.start({ jobs: [Echo], queues: 'gone' })
  const id = await enqueue(Echo, { queue: 'gone' })
  await performed(id)
  await world.adapter.destroyJob(id)
  expect(await world.executions(id)).toEqual([])
  await expect(world.job(id)).rejects.toThrow()
  const waiting = await world.insert({ job_class: 'Echo', scheduled_at: ago(-60) })
  await expect(world.adapter.destroyJob(waiting)).rejects.toThrow(ActionForStateMismatchError)
})
