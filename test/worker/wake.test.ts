import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { enqueue, jobClass, next, openWorld, performed, record, type World } from '../support/harness.ts'
import { messagesDuring, sendMessage } from '../support/messages.ts'
import { terminate } from '../support/sessions.ts'

const Echo = jobClass('Echo', () => undefined)

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

describe('NOTIFY messages alone', () => {
  test('start each of 300 jobs enqueued one after the other: no wake-up is lost [GJ-018]', async () => {
    await using _capsule = await world.start({ jobs: [Echo], pollInterval: -1 })
    for (let job = 0; job < 300; job++) {
      const done = next('perform_job')
      await enqueue(Echo)
      await done
    }
  })

  test('start a scheduled job on time', async () => {
    await using _capsule = await world.start({ jobs: [Echo], pollInterval: -1 })
    const done = next('perform_job')
    const id = await enqueue(Echo, { wait: 0.4 })
    await done
    const { performed_at, scheduled_at } = await world.job(id)
    const lateMs = (performed_at as Date).getTime() - (scheduled_at as Date).getTime()
    expect(lateMs).toBeGreaterThanOrEqual(-1)
    // No polls here: a missed start would wait for an hour.
    expect(lateMs).toBeLessThan(10_000)
  })

  test('for another queue, without a queue, or in older and newer formats are understood or ignored [GJ-021] [GJ-022] [GJ-023] [GJ-024]', async () => {
    const errors = record('notifier_notify_error')
    await using _capsule = await world.start({ jobs: [Echo], queues: 'default', pollInterval: -1 })
    for (const payload of [
      'nonsense',
      '[1]',
      '"text"',
      '{"queue_name":"default","scheduled_at":"when"}',
      'null',
      '{}',
      '{"queue_name":7}',
      '{"unknown":true}',
      '{"queue_name":"elsewhere"}',
    ]) {
      await sendMessage(world.pool, payload)
    }
    await sendMessage(world.pool, 'x'.repeat(7_900))
    for (const scheduled_at of [
      '2026-01-31T12:00:00.123Z',
      '2026-01-31T21:00:00.123+09:00',
      1_700_000_000.5,
      undefined,
    ]) {
      const done = next('perform_job')
      await world.insert({ job_class: 'Echo', scheduled_at: '2026-01-01', created_at: '2026-01-01' })
      await sendMessage(world.pool, JSON.stringify({ queue_name: 'default', scheduled_at, count: 1 }))
      await done
    }
    errors.stop()
    expect(errors.seen).toHaveLength(1)
  })

  test('make every pool query all jobs after the listener has reconnected [GJ-026]', async () => {
    await using _capsule = await world.start({ jobs: [Echo], pollInterval: -1 })
    const listening = next('notifier_listen')
    await terminate(world, 'GoodJob::Notifier')
    const done = next('perform_job')
    await world.insert({ job_class: 'Echo' })
    await listening
    await done
  })
})

describe('polls alone', () => {
  test('find immediate, scheduled and rescheduled jobs [GJ-025]', async () => {
    await using _capsule = await world.start({ jobs: [Echo], pollInterval: 0.2, enableListenNotify: false })
    const done = next('perform_job', 3)
    await world.insert({ job_class: 'Echo' })
    await enqueue(Echo, { wait: 0.3 })
    const moved = await enqueue(Echo, { wait: 3600 })
    await world.adapter.rescheduleJob(moved, new Date())
    await done
  })

  test('are not needed for retries of jobs that this worker performs', async () => {
    const Flaky = jobClass(
      'Flaky',
      (job) => {
        if (job.executions < 3) throw new Error('again')
      },
      (made) => made.retryOn(Error, { wait: 0, attempts: 3, jitter: 0 }),
    )
    const id = await world.insert({ job_class: 'Flaky' })
    const ended = next('perform_job', 3, ({ jobId }) => jobId === id)
    await using _capsule = await world.start({ jobs: [Flaky], pollInterval: -1, enableListenNotify: false })
    const ends = await ended
    expect(ends.map(({ outcome }) => outcome)).toEqual(['retried', 'retried', 'succeeded'])
  })
})

describe('what an adapter sends', () => {
  test('is one message for one job, with its queue and its start in milliseconds [GJ-018]', async () => {
    let id = ''
    const seen = await messagesDuring(world.database, async () => {
      id = await enqueue(Echo, { queue: 'q', waitUntil: new Date('2036-01-31T12:00:00.123Z') })
    })
    expect(seen.map((text) => JSON.parse(text))).toEqual([
      { queue_name: 'q', scheduled_at: '2036-01-31T12:00:00.123Z' },
    ])
    await world.sql('DELETE FROM good_jobs WHERE id = $1', [id])
  })

  test('is one message for a bulk, with a count for each queue and start [GJ-019]', async () => {
    const at = new Date('2036-01-31T12:00:00Z')
    const make = (queue: string) =>
      new (Echo as unknown as new () => InstanceType<typeof Echo>)().set({ queue, waitUntil: at })
    const seen = await messagesDuring(world.database, () => world.adapter.enqueueAll([make('a'), make('b'), make('a')]))
    expect(seen.map((text) => JSON.parse(text)).toSorted((a, b) => a.queue_name.localeCompare(b.queue_name))).toEqual([
      { queue_name: 'a', count: 2, scheduled_at: '2036-01-31T12:00:00.000Z' },
      { queue_name: 'b', count: 1, scheduled_at: '2036-01-31T12:00:00.000Z' },
    ])
    await world.sql('DELETE FROM good_jobs')
  })

  test('is nothing if the transaction is rolled back, the job has notify: false, or NOTIFY is switched off [GJ-020]', async () => {
    const seen = await messagesDuring(world.database, async () => {
      const client = await world.pool.connect()
      await client.query('BEGIN')
      await enqueue(Echo, { transaction: client })
      await client.query('ROLLBACK')
      client.release()
      await enqueue(Echo, { notify: false })
    })
    expect(seen).toEqual([])
    expect(await world.sql('SELECT serialized_params->>$1 AS notify FROM good_jobs', ['good_job_notify'])).toEqual([
      { notify: 'false' },
    ])
    await world.sql('DELETE FROM good_jobs')
  })
})

test('two workers with the same name, and one with another clock, work side by side [GJ-112]', async () => {
  const { createClock } = await import('../../src/time.ts')
  await using _first = await world.start({ jobs: [Echo] })
  await using _second = await world.start({ jobs: [Echo] })
  await using _ahead = await world.start({ jobs: [Echo], clock: createClock(600_000) })
  await using _behind = await world.start({ jobs: [Echo], clock: createClock(-600_000) })
  const ids = Array.from({ length: 40 }, () => randomUUID())
  const done = performed(...ids)
  await Promise.all(ids.map((id) => world.insert({ id, job_class: 'Echo' })))
  await sendMessage(world.pool, '{}')
  await done
  expect(await world.sql('SELECT id FROM good_job_processes')).toHaveLength(4)
  expect(await world.sql('SELECT id FROM good_jobs WHERE executions_count <> 1 OR error IS NOT NULL')).toEqual([])
})
