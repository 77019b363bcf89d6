import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { countRunning } from '../../src/sql/concurrency/admission.ts'
import { enqueue, jobClass, openWorld, performed, until } from '../support/harness.ts'
import { CountingClock, FenceJob, fence, Gates, start } from './limited-jobs.ts'

// The calls are counted; the function stays the real one.
vi.mock('../../src/sql/concurrency/admission.ts', { spy: true })

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_concurrency_claims'))

const UNTOUCHED = { performed_at: null, locked_by_id: null, finished_at: null, error: null }
const columnsOf = async (id: string) => {
  const { performed_at, locked_by_id, finished_at, error } = await world.job(id)
  return { performed_at, locked_by_id, finished_at, error }
}
const isRunning = async (id: string) => (await world.job(id)).performed_at !== null

/** Resolves when no wake-up asks for a count of running jobs any more: it would find a place that becomes free later. */
const countsEnd = (): Promise<void> =>
  until(async () => {
    const before = vi.mocked(countRunning).mock.calls.length
    await world.sql('SELECT pg_sleep(0.4)')
    return vi.mocked(countRunning).mock.calls.length === before
  }, 'no more counts')

describe('a place that becomes free is used at once', () => {
  test('by the end of a job whose class has no rules, without polls and messages', async () => {
    const gates = new Gates()
    const LabelledJob = gates.jobClass('LabelledJob')
    const LimitedJob = gates.jobClass('LimitedJob', (made) => made.concurrencyRule({ label: 'api', performLimit: 1 }))
    await enqueue(LabelledJob, { labels: ['api'] }, 'first')
    await using _capsule = await start(world, { jobs: [LabelledJob, LimitedJob] })
    await gates.of('first').entered
    const second = await enqueue(LimitedJob, { labels: ['api'] }, 'second')
    await fence()
    await countsEnd()
    expect(await columnsOf(second)).toEqual(UNTOUCHED)
    const ended = performed(second)
    gates.of('first').open()
    await until(() => isRunning(second), 'the place is used', 5_000)
    gates.of('second').open()
    await ended
  })

  test.each([
    ['by a message of another worker in Node', true, {}],
    ['by polls alone', false, { enableListenNotify: false, pollInterval: 0.2 }],
  ])('%s', async (_, isNotified, options) => {
    const gates = new Gates()
    const declare = (made: Parameters<NonNullable<Parameters<Gates['jobClass']>[1]>>[0]) =>
      made.concurrencyRule({ label: 'api', performLimit: 1 })
    const [HereJob, ThereJob] = [gates.jobClass('HereJob', declare), gates.jobClass('ThereJob', declare)]
    await enqueue(ThereJob, { queue: 'there', labels: ['api'] }, 'first')
    await using _there = await start(world, { jobs: [ThereJob], queues: 'there:5', ...options })
    await gates.of('first').entered
    const second = await enqueue(HereJob, { queue: 'here', labels: ['api'] }, 'second')
    await using _here = await start(world, { jobs: [HereJob], queues: 'here:5', ...options })
    await fence('here')
    if (isNotified) await countsEnd()
    expect(await columnsOf(second)).toEqual(UNTOUCHED)
    const ended = performed(second)
    gates.of('first').open()
    await until(() => isRunning(second), 'the place is used', 5_000)
    gates.of('second').open()
    await ended
  })

  test('by the message with which Ruby promotes a job', async () => {
    const gates = new Gates()
    const LimitedJob = gates.jobClass('LimitedJob', (made) => made.concurrencyRule({ label: 'api', performLimit: 1 }))
    const now = new Date().toISOString()
    const ruby = { job_class: 'RubyJob', labels: ['api'], performed_at: now, locked_by_id: crypto.randomUUID() }
    const running = await world.insert(ruby)
    const id = await enqueue(LimitedJob, { labels: ['api'] }, 'second')
    await using _capsule = await start(world, { jobs: [LimitedJob] })
    await fence()
    expect(await columnsOf(id)).toEqual(UNTOUCHED)
    await world.sql('UPDATE good_jobs SET finished_at = now(), locked_by_id = NULL WHERE id = $1', [running])
    await world.sql(`SELECT pg_notify('good_job', '{"queue_name":"default"}')`)
    await gates.of('second').entered
    gates.of('second').open()
    await performed(id)
  })

  test('by the time at which a throttle allows the next start, without polls and messages', async () => {
    const TimedJob = jobClass(
      'TimedJob',
      () => undefined,
      (made) => made.concurrencyRule({ label: 'api', performThrottle: [1, 0.7] }),
    )
    const [first, second] = [await enqueue(TimedJob, { labels: ['api'] }), await enqueue(TimedJob, { labels: ['api'] })]
    await using _capsule = await start(world, { jobs: [TimedJob], enableListenNotify: false })
    await performed(first as string, second as string)
    const starts = await world.sql<{ ms: number }>(
      'SELECT extract(epoch FROM max(created_at) - min(created_at))::float * 1000 AS ms, count(*)::int FROM good_job_executions',
    )
    expect(starts).toEqual([{ ms: expect.any(Number), count: 2 }])
    expect(starts[0]?.ms).toBeGreaterThanOrEqual(700)
  })

  test('by a function that returns a larger limit, at the next wake-up', async () => {
    const gates = new Gates()
    let limit = 0
    const LimitedJob = gates.jobClass('LimitedJob', (made) =>
      made.concurrencyRule({ label: 'api', performLimit: () => limit }),
    )
    const id = await enqueue(LimitedJob, { labels: ['api'] }, 'first')
    await using _capsule = await start(world, { jobs: [LimitedJob] })
    await fence()
    expect(await columnsOf(id)).toEqual(UNTOUCHED)
    limit = 1
    await fence()
    await gates.of('first').entered
    gates.of('first').open()
    await performed(id)
  })

  test('by the next job, if another session holds the one whose turn it is', async () => {
    const gates = new Gates()
    const LimitedJob = gates.jobClass('LimitedJob', (made) => made.concurrencyRule({ label: 'api', performLimit: 1 }))
    const options = { labels: ['api'] }
    await enqueue(LimitedJob, options, 'first')
    await using _capsule = await start(world, { jobs: [LimitedJob] })
    await gates.of('first').entered
    const [second] = [await enqueue(LimitedJob, options, 'second'), await enqueue(LimitedJob, options, 'third')]
    await fence()
    const holder = await world.database.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT FROM good_jobs WHERE id = $1 FOR UPDATE', [second])
    gates.of('first').open()
    await gates.of('third').entered
    await holder.query('ROLLBACK')
    await holder.end()
    gates.of('third').open()
    await gates.of('second').entered
    gates.of('second').open()
    await performed(second as string)
  })
})

describe('jobs without a place hide no others', () => {
  test('behind a limit of 0, however many they are, and are left as they were', async () => {
    const gates = new Gates()
    const BlockedJob = gates.jobClass('BlockedJob', (made) =>
      made.controlConcurrencyWith({ key: 'k', performLimit: 0 }),
    )
    const ids: string[] = []
    for (let job = 0; job < 60; job++) ids.push(await enqueue(BlockedJob, { priority: -1 }, 'never'))
    await using _capsule = await start(world, { jobs: [BlockedJob], queues: '*:3', queueSelectLimit: 5 })
    await fence()
    const touched = 'performed_at IS NOT NULL OR locked_by_id IS NOT NULL OR executions_count > 0 OR error IS NOT NULL'
    expect(await world.sql(`SELECT id FROM good_jobs WHERE job_class = 'BlockedJob' AND (${touched})`)).toEqual([])
    expect(await world.sql('SELECT id FROM good_job_concurrency_claims')).toEqual([])
  })

  test('of a class with a larger limit on the same scope', async () => {
    const gates = new Gates()
    const NarrowJob = gates.jobClass('NarrowJob', (made) => made.concurrencyRule({ label: 'api', performLimit: 1 }))
    const WideJob = gates.jobClass('WideJob', (made) => made.concurrencyRule({ label: 'api', performLimit: 2 }))
    const options = { labels: ['api'] }
    await enqueue(WideJob, { ...options, priority: -1 }, 'wide 1')
    await enqueue(WideJob, { ...options, priority: -1 }, 'wide 2')
    await using _capsule = await start(world, { jobs: [NarrowJob, WideJob], queues: '*:4' })
    await Promise.all([gates.of('wide 1').entered, gates.of('wide 2').entered])
    for (let job = 0; job < 8; job++) await enqueue(NarrowJob, options, 'narrow')
    await enqueue(WideJob, { ...options, priority: 5 }, 'wide 3')
    await fence()
    gates.of('wide 1').open()
    await gates.of('wide 3').entered
    expect(
      await world.sql(`SELECT id FROM good_jobs WHERE job_class = 'NarrowJob' AND performed_at IS NOT NULL`),
    ).toEqual([])
    for (const gate of ['wide 2', 'wide 3', 'narrow']) gates.of(gate).open()
    await until(
      async () => (await world.sql('SELECT FROM good_jobs WHERE finished_at IS NULL')).length === 0,
      'all run',
    )
  })

  test('while another session keeps the lock of their scope', async () => {
    const gates = new Gates()
    const KeyJob = gates.jobClass('KeyJob', (made) =>
      made.controlConcurrencyWith({ key: (job) => String(job.arguments[0]), performLimit: 1 }),
    )
    const holder = await world.database.connect()
    await holder.query('BEGIN')
    await holder.query(`SELECT pg_advisory_xact_lock(('x' || substr(md5('held'), 1, 16))::bit(64)::bigint)`)
    const [held, free] = [await enqueue(KeyJob, {}, 'held'), await enqueue(KeyJob, {}, 'free')]
    await using _capsule = await start(world, { jobs: [KeyJob] })
    await gates.of('free').entered
    expect(await columnsOf(held as string)).toEqual(UNTOUCHED)
    await holder.query('COMMIT')
    await holder.end()
    await gates.of('held').entered
    gates.of('held').open()
    gates.of('free').open()
    await performed(held as string, free as string)
  })
})

describe('a worker whose jobs wait', () => {
  test('neither claims nor turns without a reason', async () => {
    const gates = new Gates()
    const LimitedJob = gates.jobClass('LimitedJob', (made) => made.concurrencyRule({ label: 'api', performLimit: 1 }))
    const clock = new CountingClock()
    await enqueue(LimitedJob, { labels: ['api'] }, 'first')
    await using _capsule = await start(world, { jobs: [LimitedJob], clock })
    await gates.of('first').entered
    const second = await enqueue(LimitedJob, { labels: ['api'] }, 'second')
    await fence()
    await world.sql(`SELECT pg_notify('good_job', '{}')`)
    await fence()
    const [timestamps, nows] = [clock.timestamps, clock.nows]
    for (let query = 0; query < 1_500; query++) await world.sql('SELECT 1')
    expect(clock.timestamps - timestamps).toBeLessThan(20)
    // This clock is slow, so the next count of the places seems to be due ten times a second. A loop without a pause reads it thousands of times.
    expect(clock.nows - nows).toBeLessThan(400)
    const ended = performed(second)
    gates.of('first').open()
    gates.of('second').open()
    await ended
  })

  test('does not turn while all its slots are taken, or if no job waits', async () => {
    const gates = new Gates()
    const LimitedJob = gates.jobClass('LimitedJob', (made) => made.concurrencyRule({ label: 'api', performLimit: 1 }))
    const clock = new CountingClock()
    const first = await enqueue(LimitedJob, { labels: ['api'] }, 'first')
    await using _capsule = await start(world, { jobs: [LimitedJob], queues: '*:1', clock })
    await gates.of('first').entered
    await world.sql(`SELECT pg_notify('good_job', '{}')`)
    const nows = clock.nows
    for (let query = 0; query < 1_500; query++) await world.sql('SELECT 1')
    expect(clock.nows - nows).toBeLessThan(400)
    gates.of('first').open()
    await performed(first)
  })
})

describe('a job that changes while it waits', () => {
  test('is not started under the label that it had', async () => {
    const gates = new Gates()
    const LimitedJob = gates.jobClass('LimitedJob', (made) => {
      made.concurrencyRule({ label: 'api', performLimit: 1 })
      made.concurrencyRule({ label: 'closed', performLimit: 0 })
    })
    await enqueue(LimitedJob, { labels: ['api'] }, 'first')
    await using _capsule = await start(world, { jobs: [LimitedJob] })
    await gates.of('first').entered
    const second = await enqueue(LimitedJob, { labels: ['api'] }, 'second')
    const third = await enqueue(LimitedJob, { labels: ['api'] }, 'third')
    await fence()
    await world.sql(`UPDATE good_jobs SET labels = '{closed}' WHERE id = $1`, [second])
    gates.of('first').open()
    await gates.of('third').entered
    expect(await columnsOf(second)).toEqual(UNTOUCHED)
    gates.of('third').open()
    await performed(third)
  })

  test('an urgent job overtakes those that are known to wait', async () => {
    const gates = new Gates()
    const LimitedJob = gates.jobClass('LimitedJob', (made) => made.concurrencyRule({ label: 'api', performLimit: 1 }))
    const options = { labels: ['api'] }
    await enqueue(LimitedJob, options, 'first')
    await using _capsule = await start(world, { jobs: [LimitedJob, FenceJob] })
    await gates.of('first').entered
    for (const name of ['second', 'third']) await enqueue(LimitedJob, options, name)
    await fence()
    const urgent = await enqueue(LimitedJob, { ...options, priority: -5 }, 'urgent')
    await fence()
    gates.of('first').open()
    await gates.of('urgent').entered
    expect(await isRunning(urgent)).toBe(true)
    for (const name of ['urgent', 'second', 'third']) gates.of(name).open()
    await until(
      async () => (await world.sql('SELECT FROM good_jobs WHERE finished_at IS NULL')).length === 0,
      'all run',
    )
  })
})
