import { afterAll, beforeEach, expect, test } from 'vitest'
import { Events } from '../../src/events.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { ConcurrencyCounters } from '../../src/observe/concurrency-counters.ts'
import { attachLogSubscriber } from '../../src/observe/log-subscriber.ts'
import { ago, jobClass, next, openWorld, performed, record } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_concurrency_claims'))

test('a scope that is full is reported once, however many of its jobs wait and run', async () => {
  const one = jobClass(
    'OneJob',
    () => undefined,
    (made) => made.controlConcurrencyWith({ key: 'one', performLimit: 1 }),
  )
  const limited = record('concurrency_limited')
  const counters = new ConcurrencyCounters()
  await performAllLater(Array.from({ length: 20 }, () => new one()))
  const done = next('perform_job', 20)
  await using capsule = await world.start({ jobs: [one], queues: '*:5' })
  await done
  expect(limited.seen).toEqual([
    {
      processId: capsule.processId,
      key: 'key:one',
      limit: 1,
      jobClass: 'OneJob',
      jobId: expect.any(String),
    },
  ])
  expect(counters.counts).toEqual({ limited: 1, throttled: 0, promoted: 0, refused: 0 })
  limited.stop()
  counters.close()
})

test('a throttle that is used up is reported once, with the time of the next start', async () => {
  const slow = jobClass(
    'SlowJob',
    () => undefined,
    (made) => made.controlConcurrencyWith({ key: 'slow', performThrottle: [2, 3_600] }),
  )
  await performAllLater(Array.from({ length: 5 }, () => new slow()))
  const [throttled, done] = [next('concurrency_throttled'), next('perform_job', 2)]
  const all = record('concurrency_throttled')
  await using _capsule = await world.start({ jobs: [slow], queues: '*:5' })
  await done
  const [event] = await throttled
  expect(event).toMatchObject({ key: 'key:slow', count: 2, seconds: 3_600, jobClass: 'SlowJob' })
  expect(event?.until.getTime()).toBeGreaterThan(Date.now() + 3_000_000)
  expect(all.seen).toHaveLength(1)
  all.stop()
})

test('the promotion of a job that Ruby refused is reported with its key', async () => {
  const plain = jobClass('PlainJob', () => undefined)
  const refused = await world.insert({ job_class: 'RubyJob', concurrency_key: 'k', scheduled_at: ago(-600) })
  await world.sql(
    `INSERT INTO good_job_concurrency_claims (key, job_id, state, created_at, updated_at) VALUES ('key:k', $1, 0, now(), now())`,
    [refused],
  )
  const counters = new ConcurrencyCounters()
  await using capsule = await world.start({ jobs: [plain] })
  const promoted = next('concurrency_promoted')
  const id = await world.insert({ job_class: 'PlainJob', concurrency_key: 'k' })
  await performed(id)
  expect(await promoted).toEqual([{ processId: capsule.processId, keys: ['key:k'] }])
  expect(counters.counts.promoted).toBe(1)
  counters.close()
  expect(await world.job(refused)).toMatchObject({ scheduled_at: expect.any(Date) })
})

test('each event has a line in the log', () => {
  const lines: unknown[] = []
  const write = (level: string) => (fields: unknown, text: string) => void lines.push([level, text, fields])
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const events = new Events()
  const detach = attachLogSubscriber(logger as never, { events })
  const scope = { processId: 'p', key: 'key:k', jobId: 'j', jobClass: 'KeyJob' }
  const until = new Date()
  events.emit('concurrency_limited', { ...scope, limit: 1 })
  events.emit('concurrency_throttled', { ...scope, count: 1, seconds: 60, until })
  events.emit('concurrency_promoted', { processId: 'p', keys: ['key:k'] })
  detach()
  expect(lines).toEqual([
    ['info', 'Jobs wait, because a concurrency limit is reached', { event: 'concurrency_limited', ...scope, limit: 1 }],
    [
      'info',
      'Jobs wait, because a concurrency throttle is used up',
      { event: 'concurrency_throttled', ...scope, count: 1, seconds: 60, until },
    ],
    [
      'debug',
      'Made jobs due that a Ruby worker had refused',
      { event: 'concurrency_promoted', processId: 'p', keys: ['key:k'] },
    ],
  ])
})
