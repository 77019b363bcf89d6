import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SerializationError } from '../../src/errors.ts'
import { Job } from '../../src/job/base.ts'
import { withEnqueueContext } from '../../src/job/context.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { enqueue, jobClass, openWorld, performed, type World } from '../support/harness.ts'

const Echo = jobClass('Echo', () => undefined)
const Labelled = jobClass('Labelled', () => undefined)
type Made = new () => Job
const make = (made: unknown = Echo): Job => new (made as Made)()

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

describe('the row of a new job', () => {
  test('has one id, the defaults, and nothing of a run [GJ-006] [GJ-008] [GJ-009] [GJ-010] [GJ-011] [GJ-012]', async () => {
    const id = await enqueue(Echo)
    const row = await world.job(id)
    expect(row).toMatchObject({
      active_job_id: id,
      job_class: 'Echo',
      queue_name: 'default',
      priority: 0,
      serialized_params: {
        job_id: id,
        job_class: 'Echo',
        provider_job_id: null,
        executions: 0,
        exception_executions: {},
        arguments: [],
      },
      performed_at: null,
      finished_at: null,
      error: null,
      error_event: null,
      executions_count: null,
      locked_by_id: null,
      locked_at: null,
      lock_type: null,
      is_discrete: null,
      retried_good_job_id: null,
      labels: null,
      cron_key: null,
      batch_id: null,
    })
    expect(row.scheduled_at).toEqual(row.created_at)
    expect(row.updated_at).toEqual(row.created_at)
  })

  test('agrees with its hash about queue and priority [GJ-013]', async () => {
    const id = await enqueue(Echo, { queue: 'low', priority: -5, wait: 60 })
    expect(await world.job(id)).toMatchObject({
      queue_name: 'low',
      priority: -5,
      serialized_params: { queue_name: 'low', priority: -5 },
    })
  })

  test('has its labels trimmed, without blanks and doubles [GJ-015]', async () => {
    const id = await enqueue(Labelled, { labels: [' a ', 'b', '', ' ', 'a'] })
    expect((await world.job(id)).labels).toEqual(['a', 'b'])
    expect(JSON.stringify((await world.job(id)).serialized_params)).not.toContain('labels')
  })

  test('keeps the order of jobs that are enqueued within one millisecond', async () => {
    const ids: string[] = []
    for (let job = 0; job < 50; job++) ids.push(await enqueue(Echo, { queue: 'ordered' }))
    const rows = await world.sql<{ id: string }>(
      `SELECT id FROM good_jobs WHERE queue_name = 'ordered' ORDER BY priority, created_at`,
    )
    expect(rows.map(({ id }) => id)).toEqual(ids)
  })
})

describe('a bulk', () => {
  test('has one time for all its rows and leaves out ids that exist [GJ-016]', async () => {
    const known = make()
    await known.enqueue()
    const again = make()
    again.jobId = known.jobId
    const jobs = [make(), again, make()]
    await performAllLater(jobs)
    expect(jobs.map(({ successfullyEnqueued }) => successfullyEnqueued)).toEqual([true, false, true])
    const rows = await world.sql(
      'SELECT DISTINCT created_at, scheduled_at, updated_at FROM good_jobs WHERE id = ANY ($1)',
      [[jobs[0]?.jobId, jobs[2]?.jobId]],
    )
    expect(rows).toHaveLength(1)
  })

  test('of many pages is all or nothing', async () => {
    const jobs = Array.from({ length: 2_500 }, () => make().set({ queue: 'pages' }))
    const poison = jobs[2_400]
    if (poison) poison.jobId = 'not a uuid'
    await expect(performAllLater(jobs)).rejects.toThrow(/uuid/)
    expect(await world.sql(`SELECT count(*)::int AS rows FROM good_jobs WHERE queue_name = 'pages'`)).toEqual([
      { rows: 0 },
    ])
    if (poison) poison.jobId = '11111111-1111-4111-8111-111111111111'
    await performAllLater(jobs)
    expect(await world.sql(`SELECT count(*)::int AS rows FROM good_jobs WHERE queue_name = 'pages'`)).toEqual([
      { rows: 2_500 },
    ])
  })
})

test('an occurrence of cron that exists is not enqueued, and is no error [GJ-017] [GJ-076]', async () => {
  const cronAt = new Date('2026-01-31T12:00:00Z')
  const occur = () => withEnqueueContext({ cronKey: 'daily', cronAt }, () => make().enqueue())
  expect(await occur()).toBeInstanceOf(Job)
  expect(await occur()).toBe(false)
  expect(await world.sql(`SELECT cron_at FROM good_jobs WHERE cron_key = 'daily'`)).toEqual([{ cron_at: cronAt }])
})

test('in a transaction of the caller a job exists, and starts, at the commit', async () => {
  await using _capsule = await world.start({ jobs: [Echo], queues: 'inside', pollInterval: -1 })
  const client = await world.pool.connect()
  await client.query('BEGIN')
  const id = await enqueue(Echo, { transaction: client, queue: 'inside' })
  expect(await world.sql('SELECT id FROM good_jobs WHERE id = $1', [id])).toEqual([])
  const done = performed(id)
  await client.query('COMMIT')
  client.release()
  await done
})

test('what cannot be stored is refused before anything is', async () => {
  const before = await world.sql('SELECT count(*) FROM good_jobs')
  for (const argument of ['a\u0000b', Number.NaN, new Set([1]), Buffer.from('x'), '\uD800']) {
    await expect(enqueue(Echo, {}, argument)).rejects.toThrow(SerializationError)
  }
  expect(await world.sql('SELECT count(*) FROM good_jobs')).toEqual(before)
})
