import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { ConfigurationError, EnqueueError, SerializationError } from '../../src/errors.ts'
import type { Job } from '../../src/job/base.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { STATE } from '../../src/job/state.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { createClock } from '../../src/time.ts'
import { enqueue, jobClass, openWorld } from '../support/harness.ts'
import { messagesDuring } from '../support/messages.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs'))

const EchoJob = jobClass('EchoJob', () => {})
const make = (...args: unknown[]): Job => new (EchoJob as unknown as new (...args: unknown[]) => Job)(...args)
const rows = () => world.sql('SELECT * FROM good_jobs ORDER BY created_at, id')
const parsed = (messages: readonly string[]) =>
  messages.map((message) => JSON.parse(message) as Record<string, unknown>)

test('a job without options has equal ids, the default queue and priority, and null in the columns of later states [GJ-006, GJ-008, GJ-009, GJ-010, GJ-011, GJ-012, GJ-013, GJ-014]', async () => {
  const id = await enqueue(EchoJob, {}, 1, 'two')
  const row = await world.job(id)
  expect(row).toMatchObject({ id, active_job_id: id, job_class: 'EchoJob', queue_name: 'default', priority: 0 })
  expect(row.scheduled_at).toEqual(row.created_at)
  expect(Number(row.updated_at)).toBeGreaterThanOrEqual(Number(row.created_at))
  expect(Math.abs((row.created_at as Date).getTime() - Date.now())).toBeLessThan(5_000)
  for (const name of [
    'executions_count',
    'performed_at',
    'finished_at',
    'error',
    'error_event',
    'locked_by_id',
    'locked_at',
    'lock_type',
    'is_discrete',
    'retried_good_job_id',
    'concurrency_key',
    'cron_key',
    'cron_at',
    'batch_id',
    'batch_callback_id',
    'labels',
  ])
    expect(row[name], name).toBeNull()
  expect(row.serialized_params).toMatchObject({
    job_id: id,
    job_class: 'EchoJob',
    queue_name: 'default',
    priority: null,
    arguments: [1, 'two'],
    executions: 0,
    exception_executions: {},
  })
})

test('options are stored in the columns and in the hash [GJ-013]', async () => {
  const at = new Date('2030-01-01T00:00:00.123Z')
  const id = await enqueue(EchoJob, { queue: 'low', priority: -3, waitUntil: at, labels: [' a ', 'b', 'a', ' '] })
  const row = await world.job(id)
  expect(row).toMatchObject({ queue_name: 'low', priority: -3, labels: ['a', 'b'] })
  expect(row.scheduled_at).toEqual(at)
  expect(row.serialized_params).toMatchObject({ queue_name: 'low', priority: -3 })
})

test.each(['', '   '])('a queue named %j is stored as the default queue [GJ-010]', async (queue) => {
  expect(await world.job(await enqueue(EchoJob, { queue }))).toMatchObject({ queue_name: 'default' })
})

test.each([
  [
    ['a', ' b ', 'a'],
    ['a', 'b'],
  ],
  [[' ', ''], null],
  [[], null],
])('labels %j become %j [GJ-015]', async (labels, expected) => {
  expect(await world.job(await enqueue(EchoJob, { labels }))).toHaveProperty('labels', expected)
})

test('jobs enqueued in quick succession keep their order', async () => {
  const ids: string[] = []
  for (let index = 0; index < 50; index++) ids.push(await enqueue(EchoJob))
  expect((await rows()).map(({ id }) => id)).toEqual(ids)
})

test.each(['a\u0000b', '\uD800'])(
  'text that jsonb cannot hold, such as %j, is refused before anything is stored',
  async (text) => {
    await expect(enqueue(EchoJob, {}, text)).rejects.toThrow(SerializationError)
    await expect(world.adapter.enqueueAll([make(), make(text)])).rejects.toThrow(SerializationError)
    expect(await rows()).toEqual([])
  },
)

describe('messages', () => {
  test('of a single job is one message with its queue and its start in milliseconds [GJ-018, GJ-021]', async () => {
    const at = new Date('2030-01-01T00:00:00.120Z')
    const messages = await messagesDuring(world.database, async () => {
      await enqueue(EchoJob, { queue: 'a"\\é', waitUntil: at })
      await enqueue(EchoJob)
    })
    expect(parsed(messages)[0]).toEqual({ queue_name: 'a"\\é', scheduled_at: '2030-01-01T00:00:00.120Z' })
    const [row] = await world.sql<{ at: Date }>(
      `SELECT scheduled_at AT TIME ZONE 'UTC' AS at FROM good_jobs WHERE queue_name = 'default'`,
    )
    expect(parsed(messages)[1]).toEqual({ queue_name: 'default', scheduled_at: row?.at.toISOString() })
    expect(messages).toHaveLength(2)
  })

  test('of a bulk are one message for each queue and start, with the number of jobs that notify [GJ-016, GJ-019]', async () => {
    const at = new Date('2030-01-01T00:00:00Z')
    const jobs = [
      ...Array.from({ length: 3 }, () => make().set({ queue: 'a' })),
      ...Array.from({ length: 2 }, () => make().set({ queue: 'b', waitUntil: at })),
      make().set({ queue: 'b' }),
      make().set({ queue: 'a', notify: false }),
      make().set({ queue: 'quiet', notify: false }),
    ]
    const messages = parsed(await messagesDuring(world.database, () => performAllLater(jobs)))
    const counts = messages.map(({ queue_name, count, scheduled_at }) => [
      queue_name,
      count,
      scheduled_at === at.toISOString(),
    ])
    expect(counts.sort()).toEqual([
      ['a', 3, false],
      ['b', 1, false],
      ['b', 2, true],
    ])
    const stamps = await world.sql('SELECT DISTINCT created_at, updated_at FROM good_jobs')
    expect(stamps).toHaveLength(1)
  })

  test('count a job that is twice in one bulk once, as it is one row [GJ-016, GJ-019]', async () => {
    const job = make()
    const messages = parsed(await messagesDuring(world.database, () => performAllLater([job, job])))
    expect(messages).toMatchObject([{ count: 1 }])
    expect(await rows()).toHaveLength(1)
  })

  test('of a bulk of many pages are one message with the total count [GJ-019]', async () => {
    const jobs = Array.from({ length: 2_500 }, () => make())
    const messages = parsed(await messagesDuring(world.database, () => performAllLater(jobs)))
    expect(messages).toEqual([{ queue_name: 'default', count: 2_500, scheduled_at: expect.any(String) }])
  })

  test.each([
    ['switched off', { enableListenNotify: false }, {}],
    ['not wanted by the job', {}, { notify: false }],
  ])('none is sent when that is %s', async (_name, options, set) => {
    const adapter = new Adapter({ databaseUrl: world.url, ...options })
    const messages = await messagesDuring(world.database, async () => {
      await adapter.enqueue(make().set(set))
      await adapter.enqueueAll([make().set(set)])
    })
    expect(messages).toEqual([])
    expect(await rows()).toHaveLength(2)
    await adapter.close()
  })
})

test('times in the hash have nanoseconds and those in columns microseconds, as from the clock of Ruby [AJ-007, AJ-008]', async () => {
  for (let count = 0; count < 20; count++) await enqueue(EchoJob, { wait: 60 })
  const [coarse] = await world.sql(
    `SELECT count(*) FILTER (WHERE serialized_params->>'enqueued_at' LIKE '%000Z')::int AS enqueued_at,
       count(*) FILTER (WHERE serialized_params->>'scheduled_at' LIKE '%000Z')::int AS params_scheduled_at,
       count(*) FILTER (WHERE extract(microseconds FROM scheduled_at)::int % 1000 = 0)::int AS scheduled_at,
       count(*) FILTER (WHERE extract(microseconds FROM created_at)::int % 1000 = 0)::int AS created_at
     FROM good_jobs`,
  )
  for (const [column, jobs] of Object.entries(coarse ?? {})) expect(jobs, column).toBeLessThan(10)
  expect(Object.keys(coarse ?? {})).toHaveLength(4)
})

describe('duplicates', () => {
  test('a job whose id exists is refused alone, and left out of a bulk [GJ-016]', async () => {
    const first = make()
    await world.adapter.enqueue(first)
    const again = make()
    again.jobId = first.jobId
    await expect(world.adapter.enqueue(again)).rejects.toThrow(EnqueueError)
    expect(await again.enqueue()).toBe(false)
    expect(again.enqueueError?.message).toContain(first.jobId)
    const other = make()
    expect(await world.adapter.enqueueAll([again, other])).toBe(1)
    expect([again.successfullyEnqueued, other.successfullyEnqueued]).toEqual([false, true])
    expect(other.providerJobId).toBe(other.jobId)
  })

  test('a cron occurrence that exists is "not enqueued", without an error [GJ-017]', async () => {
    const enqueueOccurrence = () => {
      const job = make()
      job[STATE].cron = { key: 'daily', at: new Date('2030-01-01T00:00:00Z'), adapter: world.adapter }
      return job.enqueue()
    }
    expect(await enqueueOccurrence()).toBeTruthy()
    expect(await enqueueOccurrence()).toBe(false)
    expect(await rows()).toMatchObject([{ cron_key: 'daily' }])
  })
})

test('options that only some jobs of a bulk have are stored for these jobs only', async () => {
  const odd = [`{"a",'b'}`, 'back\\slash', 'NULL', 'comma, brace} "quote"']
  const jobs = [make(1), make(odd), make(3)]
  jobs[1]?.set({ queue: odd[0], labels: odd })
  jobs[2]?.set({ priority: -5 })
  expect(await world.adapter.enqueueAll(jobs)).toBe(3)
  const stored = await Promise.all(jobs.map((job) => world.job(job.jobId)))
  expect(stored.map(({ labels, queue_name, priority }) => ({ labels, queue_name, priority }))).toEqual([
    { labels: null, queue_name: 'default', priority: 0 },
    { labels: odd, queue_name: odd[0], priority: 0 },
    { labels: null, queue_name: 'default', priority: -5 },
  ])
  expect(stored[1]?.serialized_params).toMatchObject({ arguments: [odd] })
  expect(stored.map(({ batch_id, cron_key, concurrency_key }) => batch_id ?? cron_key ?? concurrency_key)).toEqual([
    null,
    null,
    null,
  ])
})

test.each(['order-mail-1', '', `${randomUUID()},${randomUUID()}`])(
  'an id that is no UUID is refused before anything is stored, with a way to make one from a name: %s',
  async (id) => {
    const [job, other] = [make(1), make(2)]
    job.jobId = id
    const refusals = [
      () => world.adapter.enqueueAll([job, other]),
      () => world.adapter.enqueue(job),
      () => performAllLater([job, other]),
      () => job.enqueue(),
      () => Batch.enqueue({}, [job, other]),
      () => Batch.enqueue({}, () => job.enqueue()),
    ]
    for (const refusal of refusals) {
      await expect(refusal()).rejects.toThrow(ConfigurationError)
      await expect(refusal()).rejects.toThrow(`EchoJob: jobId must be a UUID, got ${JSON.stringify(id)}. `)
      await expect(refusal()).rejects.toThrow("a UUID of version 5, e.g. v5('order-mail-1', namespace)")
    }
    expect(await rows()).toEqual([])
  },
)

test('an id in capital letters is stored in lower case, and found again', async () => {
  const job = make()
  job.jobId = randomUUID().toUpperCase()
  await performAllLater([job])
  const [row] = await rows()
  expect(job).toMatchObject({ successfullyEnqueued: true, jobId: row?.id, providerJobId: row?.id })
  expect(row?.serialized_params).toMatchObject({ job_id: row?.id })
})

test('a hundred thousand jobs are inserted in pages, all or none', async () => {
  const jobs = Array.from({ length: 100_000 }, () => make())
  const adapter = new Adapter({ databaseUrl: world.url })
  expect(await adapter.enqueueAll(jobs)).toBe(100_000)
  const [count] = await world.sql('SELECT count(*)::int AS n, count(DISTINCT created_at)::int AS stamps FROM good_jobs')
  expect(count).toEqual({ n: 100_000, stamps: 1 })
  await world.sql('TRUNCATE good_jobs')
  const bad = Array.from({ length: 2_500 }, () => make())
  const last = bad.at(-1)
  if (last) last.priority = 2 ** 40
  await expect(adapter.enqueueAll(bad)).rejects.toThrow(/1099511627776/)
  expect(await rows()).toEqual([])
  await adapter.close()
}, 60_000)

test("an adapter uses a user's pool that is configured by host and password, and does not end it", async () => {
  const { hostname, port, username, password, pathname } = new URL(world.url)
  const pool = world.database.pool({
    connectionString: undefined as never,
    host: hostname,
    port: Number(port),
    user: username,
    password: decodeURIComponent(password),
    database: pathname.slice(1),
  })
  const adapter = new Adapter({ pool })
  await adapter.enqueue(make())
  await adapter.close()
  expect((await pool.query('SELECT id FROM good_jobs')).rowCount).toBe(1)
  await using capsule = await world.start({ jobs: [EchoJob], databaseUrl: undefined as never, pool })
  expect(capsule.isListening).toBe(true)
})

test('a clock that differs from the server stamps rows with its own time', async () => {
  const adapter = new Adapter({ databaseUrl: world.url, clock: createClock(-600_000) })
  const job = make()
  job.jobId = randomUUID()
  await adapter.enqueue(job)
  const [row] = await world.sql<{ ago: number }>(
    `SELECT extract(epoch FROM (now() AT TIME ZONE 'UTC') - created_at)::float8 AS ago FROM good_jobs`,
  )
  expect(row?.ago).toBeGreaterThan(590)
  await adapter.close()
})
