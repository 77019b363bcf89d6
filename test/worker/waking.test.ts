import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { parseMessage } from '../../src/worker/notifier.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { ago, enqueue, jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'
import { sendMessage } from '../support/messages.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

const startedAt = new Map<string, number>()
const EchoJob = jobClass('EchoJob', (job) => startedAt.set(job.jobId, Date.now()))

const LISTEN_ALONE = { pollInterval: -1 }
const POLL_ALONE = { enableListenNotify: false, pollInterval: 0.05 }

test('five hundred jobs, each enqueued when the previous one has started, all start by LISTEN alone', async () => {
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 1, ...LISTEN_ALONE })
  for (let index = 0; index < 500; index++) {
    const started = next('perform_start')
    const id = await enqueue(EchoJob)
    expect((await started)[0]?.jobId).toBe(id)
  }
})

test('bursts of jobs that arrive during claims are all started by LISTEN alone', async () => {
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 2, ...LISTEN_ALONE })
  const done = next('perform_job', 400)
  for (let burst = 0; burst < 40; burst++) {
    await Promise.all(Array.from({ length: 10 }, () => enqueue(EchoJob)))
    if (burst % 3 === 0) await new Promise(setImmediate)
  }
  await done
})

test('polling alone finds jobs, also rescheduled jobs without a NOTIFY message [GJ-025]', async () => {
  await using capsule = await world.start({ jobs: [EchoJob], ...POLL_ALONE })
  expect(capsule.isListening).toBe(false)
  await performed(await enqueue(EchoJob))
  const id = await enqueue(EchoJob, { wait: 3600 })
  const done = performed(id)
  await world.adapter.rescheduleJob(id, new Date())
  await done
})

test.each([
  ['LISTEN', LISTEN_ALONE],
  ['polling', POLL_ALONE],
])(
  'a scheduled job starts on time with %s alone, whether enqueued before or after the start of the worker',
  async (_name, options) => {
    const before = await enqueue(EchoJob, { waitUntil: new Date(Date.now() + 600) })
    await using _capsule = await world.start({ jobs: [EchoJob], ...options })
    const after = await enqueue(EchoJob, { waitUntil: new Date(Date.now() + 300) })
    const earlier = performed(after)
    const later = performed(before)
    await earlier
    await later
    for (const id of [before, after]) {
      const { scheduled_at: scheduledAt, performed_at: performedAt } = await world.job(id)
      const lateMs = (performedAt as Date).getTime() - (scheduledAt as Date).getTime()
      expect(lateMs).toBeGreaterThanOrEqual(0)
      // A missed start would wait for an hour.
      expect(lateMs).toBeLessThan(10_000)
    }
  },
)

test('a hundred jobs scheduled within one second each start on time', async () => {
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 20, ...LISTEN_ALONE })
  const done = next('perform_job', 100)
  const base = Date.now() + 200
  for (let index = 0; index < 100; index++)
    await enqueue(EchoJob, { waitUntil: new Date(base + ((index * 37) % 100) * 10) })
  await done
  const rows = await world.sql<{ late: number }>(
    'SELECT extract(epoch FROM performed_at - scheduled_at)::float8 * 1000 AS late FROM good_jobs',
  )
  expect(Math.min(...rows.map(({ late }) => late))).toBeGreaterThanOrEqual(0)
  // No polls here: a missed start would wait for an hour.
  expect(Math.max(...rows.map(({ late }) => late))).toBeLessThan(10_000)
})

describe('a NOTIFY message', () => {
  test.each<[string, ReturnType<typeof parseMessage>]>([
    [
      '{"queue_name":"a","scheduled_at":"2026-01-31T12:00:00.123Z"}',
      { queueName: 'a', startsAtMs: Date.UTC(2026, 0, 31, 12, 0, 0, 123) },
    ],
    [
      '{"queue_name":"a","count":2,"scheduled_at":"2026-01-31T21:00:00.123+09:00"}',
      { queueName: 'a', startsAtMs: Date.UTC(2026, 0, 31, 12, 0, 0, 123) },
    ],
    ['{"scheduled_at":1769860800.5}', { queueName: undefined, startsAtMs: 1_769_860_800_500 }],
    ['{"queue_name":"a"}', { queueName: 'a', startsAtMs: 0 }],
    ['{"queue_name":"a","scheduled_at":null,"unknown":[1]}', { queueName: 'a', startsAtMs: 0 }],
    ['{}', { queueName: undefined, startsAtMs: 0 }],
    ['null', { queueName: undefined, startsAtMs: 0 }],
    ['', undefined],
    ['hello', undefined],
    ['[]', undefined],
    ['"a"', undefined],
    ['42', undefined],
    ['{"scheduled_at":"soon"}', undefined],
    ['{"scheduled_at":{}}', undefined],
    ['{"queue_name":', undefined],
  ])('%j is read as %j [GJ-022]', (payload, expected) => {
    expect(parseMessage(payload)).toEqual(expected)
  })

  test('that is malformed or oversized is reported once and affects neither the listener nor a job [GJ-024]', async () => {
    const errors = record('notifier_notify_error')
    await using capsule = await world.start({ jobs: [EchoJob], ...LISTEN_ALONE })
    for (const payload of ['hello', '[]', `{"queue_name":"${'x'.repeat(7_900)}`, '{"scheduled_at":"soon"}', '\u0001'])
      await sendMessage(world.pool, payload)
    await performed(await enqueue(EchoJob))
    expect(capsule.isListening).toBe(true)
    expect(errors.seen).toHaveLength(1)
    expect(String(errors.seen[0]?.error)).toMatch(/ignored a message that is not GoodJob's: hello/)
    errors.stop()
  })

  test('starts no claim if no pool serves its queue, and starts one if it names no queue [GJ-023, GJ-022]', async () => {
    await using _capsule = await world.start({ jobs: [EchoJob], queues: 'a', ...LISTEN_ALONE })
    await performed(await enqueue(EchoJob, { queue: 'a' }))
    const id = await world.insert({ queue_name: 'a' })
    const [seen] = [next('notifier_notified', 2)]
    await sendMessage(world.pool, '{"queue_name":"b"}')
    await sendMessage(world.pool, '{"queue_name":"c","scheduled_at":"2020-01-01T00:00:00.000Z"}')
    await seen
    await new Promise(setImmediate)
    expect((await world.job(id)).performed_at).toBeNull()
    const done = performed(id)
    await sendMessage(world.pool, '{}')
    await done
  })
})

test('a listener that reconnects makes every pool query all jobs [GJ-026]', async () => {
  await using network = await FaultyNetwork.start(world.url)
  await using _capsule = await world.start({ jobs: [EchoJob], databaseUrl: network.url, ...LISTEN_ALONE })
  network.refuse()
  network.cut('GoodJob::Notifier')
  await until(async () => network.count('GoodJob::Notifier') === 0, 'the listener is cut')
  let id = ''
  // On a busy machine the first claim of the worker may still be under way, and takes the first jobs.
  const waits = async () => {
    id = await enqueue(EchoJob)
    return (await world.job(id)).performed_at === null
  }
  await until(waits, 'no session listens')
  const [listening, done] = [next('notifier_listen'), performed(id)]
  await network.accept()
  await listening
  await done
})

test('a listener that is shut down while disconnected does not reconnect', async () => {
  await using network = await FaultyNetwork.start(world.url)
  const capsule = await world.start({ jobs: [EchoJob], databaseUrl: network.url })
  network.refuse()
  network.cut('GoodJob::Notifier')
  await until(async () => network.count('GoodJob::Notifier') === 0, 'the listener is cut')
  await capsule.shutdown({ timeout: 0.1 })
  await network.accept()
  const [row] = await world.sql(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'GoodJob::Notifier' AND datname = current_database()`,
  )
  expect(row).toEqual({ n: 0 })
})

test('a retry without a wait, on a queue of another pool and lane, starts by LISTEN alone', async () => {
  const MovingJob = jobClass(
    'MovingJob',
    (job) => {
      if (job.executions === 1) throw new Error('once')
    },
    (made) => made.retryOn(Error, { wait: 0, attempts: 2, queue: 'b' }),
  )
  await using _capsule = await world.start({ jobs: [MovingJob], queues: 'a:1;b:1', lanes: 2, ...LISTEN_ALONE })
  for (let round = 0; round < 100; round++) {
    const succeeded = next('perform_job', 1, ({ outcome }) => outcome === 'succeeded')
    await enqueue(MovingJob, { queue: 'a' })
    expect((await succeeded)[0]?.queueName).toBe('b')
  }
})

test('a worker that starts with an empty table finds jobs that are enqueued later', async () => {
  await using _capsule = await world.start({ jobs: [EchoJob], ...LISTEN_ALONE })
  const old = await world.insert({ created_at: ago(1_000) })
  const done = performed(old)
  await sendMessage(world.pool, '{}')
  await done
})
