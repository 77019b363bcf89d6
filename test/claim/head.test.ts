import { afterAll, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/time.ts'
import { ago, enqueue, jobClass, next, openWorld, performed } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

/** Jobs of a class that no worker here runs, at the head of the queue, among dead rows of finished jobs. */
const fillHead = async (jobs: number) => {
  await world.sql('ALTER TABLE good_jobs SET (autovacuum_enabled = false)')
  await world.sql(
    `INSERT INTO good_jobs (job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
     SELECT 'Ruby::OnlyJob', 'default', -9, '{}', now() - interval '1 day', now() - interval '1 day', now()
     FROM generate_series(1, $1::int)`,
    [jobs],
  )
  await world.sql(`UPDATE good_jobs SET finished_at = now() WHERE id IN (SELECT id FROM good_jobs LIMIT $1::int)`, [
    jobs / 2,
  ])
}

const order: string[] = []

/** The clock advances by this between two readings, so each query seems to take that long. */
const clockOf = (readingMs: number) => {
  let ms = 0
  return { ...systemClock, monotonic: () => (ms += readingMs) }
}

test.each([
  // While the head is expensive, queries before the position take turns with claims from the position.
  ['cheap', clockOf(0.1), [3]],
  ['expensive', clockOf(50), [3, 4]],
])(
  'an urgent job that is enqueued behind the position of a busy pool starts next, %s head',
  async (_cost, clock, places) => {
    order.length = 0
    const urgent: string[] = []
    const EchoJob = jobClass('EchoJob', async (job) => {
      order.push(job.jobId)
      if (order.length !== 3) return
      const notified = next('notifier_notified')
      urgent.push(await enqueue(EchoJob, { priority: -20 }))
      await notified
    })
    await fillHead(2000)
    const ids: string[] = []
    for (let index = 0; index < 10; index++) ids.push(await world.insert({ created_at: ago(60 - index) }))
    const done = next('perform_job', 11)
    await using _capsule = await world.start({ jobs: [EchoJob], threads: 1, pollInterval: -1, clock })
    await done
    expect(order.filter((id) => !urgent.includes(id))).toEqual(ids)
    expect(places).toContain(order.indexOf(urgent[0] as string))
  },
)

test('a job enqueued without NOTIFY, before the position of a busy pool, is found before the pool rests', async () => {
  order.length = 0
  const hidden: string[] = []
  const EchoJob = jobClass('EchoJob', async (job) => {
    order.push(job.jobId)
    if (order.length === 5) hidden.push(await world.insert({ priority: -20 }))
  })
  await fillHead(2000)
  const ids: string[] = []
  for (let index = 0; index < 9; index++) ids.push(await world.insert({ created_at: ago(60 - index) }))
  const done = next('perform_job', 10)
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 2, pollInterval: -1 })
  await done
  expect(order.toSorted()).toEqual([...ids, ...hidden].toSorted())
})

test('a job that was released by another session or rescheduled is found at the next wake-up', async () => {
  order.length = 0
  const EchoJob = jobClass('EchoJob', (job) => {
    order.push(job.jobId)
  })
  await fillHead(2000)
  const owned = await world.insert({ locked_by_id: '00000000-0000-4000-8000-000000000001', created_at: ago(600) })
  const later = await world.insert({ scheduled_at: ago(-3600), created_at: ago(500) })
  const ids = [await world.insert({ created_at: ago(60) }), await world.insert({ created_at: ago(50) })]
  const first = performed(...ids)
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 1, pollInterval: -1 })
  await first
  const both = performed(owned, later)
  await world.sql(
    `UPDATE good_jobs SET locked_by_id = NULL, scheduled_at = now() - interval '1 second' WHERE id = ANY ($1::uuid[])`,
    [[owned, later]],
  )
  await world.sql(`NOTIFY good_job, '{"queue_name":"default"}'`)
  await both
  expect(order).toEqual([...ids, owned, later])
})
