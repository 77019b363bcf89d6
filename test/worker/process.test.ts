import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { advisoryKey } from '../../src/sql/advisory-lock.ts'
import { upsertProcessText } from '../../src/sql/process/processes.ts'
import { systemClock } from '../../src/time.ts'
import { Heartbeat } from '../../src/worker/heartbeat.ts'
import { UnservedWatch } from '../../src/worker/watch/unserved-watch.ts'
import { ago, jobClass, next, openWorld, record, type World } from '../support/harness.ts'

const Echo = jobClass('Echo', () => undefined)

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const processRow = (id: string, columns: Record<string, unknown> = {}) =>
  world.sql(
    `INSERT INTO good_job_processes (id, created_at, updated_at, state, lock_type)
     VALUES ($1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC' - make_interval(secs => $2), '{}', $3)`,
    [id, columns.age ?? 0, columns.lockType ?? null],
  )
const ids = async () => (await world.sql<{ id: string }>('SELECT id FROM good_job_processes')).map(({ id }) => id)

test('the process row of a worker has the values that the dashboard reads, with their types [GJ-029] [GJ-058] [GJ-060]', async () => {
  const capsule = await world.start({ jobs: [Echo], queues: '+a,b:2;*', threads: 3 })
  const [row] = await world.sql<{ state: Record<string, unknown>; lock_type: unknown }>(
    'SELECT state, lock_type FROM good_job_processes WHERE id = $1',
    [capsule.processId],
  )
  expect(row?.lock_type).toBeNull()
  expect(row?.state).toMatchObject({
    hostname: hostname(),
    pid: process.pid,
    memory: expect.any(Number),
    proctitle: expect.any(String),
    preserve_job_records: true,
    retry_on_unhandled_error: false,
    cron_enabled: false,
    total_succeeded_executions_count: 0,
    total_errored_executions_count: 0,
    database_connection_pool: { size: 5, active: expect.any(Number) },
    schedulers: [
      {
        name: 'GoodJob::Scheduler(queues=+a,b max_threads=2)',
        queues: '+a,b',
        max_threads: 2,
        active_threads: 0,
        available_threads: 2,
        execution_at: null,
      },
      { queues: '*', max_threads: 3 },
    ],
  })
  await capsule.shutdown()
  expect(await ids()).toEqual([])
})

const block = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

test('the heartbeat comes from a thread that starts and beats also while the event loop is blocked, and restores a deleted row [GJ-058] [GJ-059]', async () => {
  const processId = randomUUID()
  const heartbeat = new Heartbeat({
    config: world.adapter.database.clientConfig('GoodJob::Process'),
    statement: upsertProcessText(await world.adapter.database.facts()),
    processId,
    intervalMs: 100,
    state: () => '{"pid": 1}',
  })
  expect(heartbeat.isBeating).toBe(false)
  heartbeat.start()
  expect(heartbeat.isBeating).toBe(true)
  block(4_000)
  expect(await ids()).toContain(processId)
  await world.sql('DELETE FROM good_job_processes')
  const blockedFrom = Date.now()
  block(2_000)
  const [row] = await world.sql<{ updated_at: Date }>('SELECT updated_at FROM good_job_processes WHERE id = $1', [
    processId,
  ])
  expect(row?.updated_at.getTime()).toBeGreaterThan(blockedFrom)
  await heartbeat.stop()
  await world.sql('DELETE FROM good_job_processes')
})

test('dead processes are deleted and their jobs released; live processes, and advisory ones whose lock is held, stay [GJ-062]', async () => {
  const [dead, alive, held, unheld] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
  await processRow(dead, { age: 400 })
  await processRow(alive, { age: 200 })
  await processRow(held, { age: 4_000, lockType: 0 })
  await processRow(unheld, { lockType: 0 })
  const holder = await world.database.connect()
  await holder.query('SELECT pg_advisory_lock($1)', [advisoryKey(`good_job_processes-${held}`)])
  const jobs = await Promise.all(
    [dead, alive, held, unheld].map((owner) =>
      world.insert({ job_class: 'Foreign', locked_by_id: owner, locked_at: new Date().toISOString(), lock_type: 2 }),
    ),
  )
  const released = next('processes_released')
  await using capsule = await world.start({ jobs: [Echo] })
  expect((await released)[0]).toMatchObject({ ids: expect.arrayContaining([dead, unheld]), jobs: 2 })
  expect((await ids()).toSorted()).toEqual([alive, held, capsule.processId].toSorted())
  const owners = await Promise.all(jobs.map(async (id) => (await world.job(id)).locked_by_id))
  expect(owners).toEqual([null, alive, held, null])
  await holder.end()
  await world.sql('DELETE FROM good_jobs; DELETE FROM good_job_processes WHERE id <> $1'.split(';')[0] ?? '')
  await world.sql('DELETE FROM good_job_processes WHERE id <> $1', [capsule.processId])
})

test('jobs of an owner without a process row are released, unless their advisory lock is held or the owner may be alive', async () => {
  const old = new Date(Date.now() - 120_000).toISOString()
  const owned = (lockType: number) =>
    world.insert({ job_class: 'Foreign', locked_by_id: randomUUID(), locked_at: old, lock_type: lockType })
  const [free, busy, skiplocked] = [await owned(2), await owned(0), await owned(1)]
  const holder = await world.database.connect()
  await holder.query('SELECT pg_advisory_lock($1)', [advisoryKey(`good_jobs-${busy}`)])
  const released = next('processes_released')
  await using _capsule = await world.start({ jobs: [Echo] })
  expect((await released)[0]).toMatchObject({ jobs: 1 })
  expect((await world.job(free)).locked_by_id).toBeNull()
  expect((await world.job(busy)).locked_by_id).not.toBeNull()
  expect((await world.job(skiplocked)).locked_by_id).not.toBeNull()
  await holder.end()
  await world.sql('DELETE FROM good_jobs')
})

test('due jobs that no live worker runs are reported once for each class and queue, with count and age', async () => {
  const due = (jobClassName: string, queue: string, seconds: number) =>
    world.insert({ job_class: jobClassName, queue_name: queue, scheduled_at: ago(seconds) })
  for (let count = 0; count < 3; count++) await due('Forgotten', 'mail', 600)
  await due('Echo', 'lonely', 600)
  await due('Younger', 'mail', 5)
  const reported = next('jobs_unserved', 2)
  await using capsule = await world.start({ jobs: [Echo], queues: 'mail' })
  const of = { processId: capsule.processId, oldestAt: expect.any(Date) }
  expect(await reported).toEqual([
    { ...of, queueName: 'lonely', jobClass: 'Echo', jobs: 1, lacks: 'queue' },
    { ...of, queueName: 'mail', jobClass: 'Forgotten', jobs: 3, lacks: 'class' },
  ])
  const { seen, stop } = record('jobs_unserved')
  const { processId } = capsule
  const watch = new UnservedWatch({ database: world.adapter.database, processId, clock: systemClock })
  await watch.check()
  expect(seen).toHaveLength(2)
  await watch.check()
  expect(seen).toHaveLength(2)
  await world.insert({ job_class: 'Another', queue_name: 'mail', scheduled_at: ago(600) })
  await watch.check()
  expect(seen.slice(2)).toMatchObject([{ queueName: 'mail', jobClass: 'Another' }])
  stop()
  await world.sql('DELETE FROM good_jobs')
})
