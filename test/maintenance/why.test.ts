import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { Adapter } from '../../src/index.ts'
import { advisoryKey } from '../../src/sql/advisory-lock.ts'
import { createClock } from '../../src/time.ts'
import { runCli, runJson } from '../support/cli.ts'
import { ago, enqueue, Gate, jobClass, openWorld, performed, type Row } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(async () => {
  for (const table of ['good_jobs', 'good_job_processes', 'good_job_settings', 'good_job_concurrency_claims'])
    await world.sql(`DELETE FROM ${table}`)
})

const why = (id: string) => world.adapter.why(id)

/** Inserts a process row as another program might; returns its id. */
const addProcess = async ({ queues = '*', ...columns }: Row = {}): Promise<string> => {
  const id = randomUUID()
  const row: Row = { id, created_at: ago(900), updated_at: ago(1), lock_type: null, ...columns }
  const state = { hostname: 'web-1', pid: 7, schedulers: [{ queues }], ...(columns.state as Row | undefined) }
  await world.sql(
    'INSERT INTO good_job_processes (id, created_at, updated_at, lock_type, state) VALUES ($1, $2, $3, $4, $5)',
    [row.id, row.created_at, row.updated_at, row.lock_type, state],
  )
  return id
}
const addNodeProcess = (jobClasses: readonly string[], enablePauses = false): Promise<string> =>
  addProcess({ state: { good_job_node: { job_classes: jobClasses, enable_pauses: enablePauses } } })

const owned = (owner: string, columns: Row = {}) =>
  world.insert({ locked_by_id: owner, locked_at: ago(60), performed_at: ago(60), executions_count: 1, ...columns })

/** Holds the advisory lock of a job while `work` runs, as a session of another program. */
const whileLocked = async <T>(id: string, work: (pid: number) => Promise<T>): Promise<T> => {
  const holder = await world.database.connect()
  await holder.query(`SET application_name = 'stranger'`)
  const { rows } = await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_advisory_lock($1)', [
    advisoryKey(`good_jobs-${id}`),
  ])
  const result = await work(rows[0]?.pid ?? 0)
  await holder.end()
  return result
}

test('a job that does not exist, or whose id is no UUID, is missing', async () => {
  const id = randomUUID()
  expect(await why(id)).toEqual({ reason: 'missing', jobId: id, clockAheadSeconds: null, ignoredPause: null })
  expect(await why('nonsense')).toMatchObject({ reason: 'missing', jobId: 'nonsense' })
})

test('an ended job has succeeded, was discarded by its attempt, or was discarded by a person', async () => {
  const [works, failing] = [
    jobClass('Fine', () => undefined),
    jobClass('Failing', () => Promise.reject(new Error('no'))),
  ]
  await using _capsule = await world.start({ jobs: [works, failing] })
  const [fine, failed] = [await enqueue(works), await enqueue(failing)]
  await Promise.all([performed(fine), performed(failed)])
  expect(await why(fine)).toMatchObject({ reason: 'succeeded', attempts: 1, finishedAt: expect.any(Date) })
  expect(await why(failed)).toMatchObject({
    reason: 'discarded',
    by: 'attempt',
    error: 'StandardError: no',
    attempts: 1,
  })
  const waiting = await world.insert({ scheduled_at: ago(-60) })
  await world.adapter.discardJob(waiting, 'wrong tenant')
  expect(await why(waiting)).toMatchObject({
    reason: 'discarded',
    by: 'person',
    error: 'GoodJob::Job::DiscardJobError: wrong tenant',
    attempts: 0,
  })
})

test('a running job is reported with its live process, its start and its attempt', async () => {
  const gate = new Gate()
  const slow = jobClass('Slow', (job) => gate.pass(job))
  await using capsule = await world.start({ jobs: [slow] })
  const id = await enqueue(slow)
  const done = performed(id)
  await gate.entered
  expect(await why(id)).toMatchObject({
    reason: 'running',
    process: { id: capsule.processId, pid: String(process.pid), state: 'alive', heardAt: expect.any(Date) },
    startedAt: expect.any(Date),
    attempt: 1,
  })
  gate.open()
  await done
})

test('a job whose start is deferred is held by the claim session of its worker', async () => {
  const gate = new Gate()
  const slow = jobClass('Deferred', (job) => gate.pass(job))
  await using _capsule = await world.start({ jobs: [slow], deferStart: 30_000 })
  const id = await enqueue(slow)
  const done = performed(id)
  await gate.entered
  expect(await why(id)).toMatchObject({ reason: 'advisory_locked', session: { applicationName: 'GoodJob::Lane' } })
  gate.open()
  await done
})

test('a running job of a silent process, and of a process without a row that holds the advisory lock, is reported as such', async () => {
  const silent = await addProcess({ updated_at: ago(150) })
  expect(await why(await owned(silent))).toMatchObject({
    reason: 'running',
    process: { id: silent, hostname: 'web-1', pid: '7', state: 'silent' },
    attempt: 1,
  })
  const owner = randomUUID()
  const id = await owned(owner, { performed_at: null, executions_count: 0 })
  await whileLocked(id, async () => {
    expect(await why(id)).toMatchObject({
      reason: 'running',
      process: { id: owner, hostname: null, state: 'no_row', heardAt: null },
      startedAt: null,
      attempt: 1,
    })
  })
})

test('a job whose owner has no row and no advisory lock is abandoned, as doctor reports as well', async () => {
  const owner = randomUUID()
  const id = await owned(owner, { lock_type: 1 })
  const abandoned = { reason: 'abandoned', ownerId: owner, lockType: 'skiplocked', lockedAt: expect.any(Date) }
  expect(await why(id)).toMatchObject({ ...abandoned, releasedWithinMinutes: null })
  await addNodeProcess(['EchoJob'])
  expect(await why(id)).toMatchObject({ ...abandoned, releasedWithinMinutes: 7, ownerMayLive: false })
  await addProcess()
  await addProcess()
  expect(await why(id)).toMatchObject({ ...abandoned, releasedWithinMinutes: null, ownerMayLive: true })
  expect(await runJson(world.url, 'doctor')).toMatchObject({ abandoned_jobs: [{ id, locked_by_id: owner }] })
  const { stdout } = await runCli(['doctor'], { env: { DATABASE_URL: world.url } })
  expect(stdout).toContain(`good-job jobs release ${id}`)

  await world.adapter.releaseJob(id)
  expect(await why(id)).toMatchObject({ reason: 'due', isInterrupted: true })
  expect(await runJson(world.url, 'doctor')).toMatchObject({ abandoned_jobs: [] })
})

test('a waiting job whose advisory lock a session holds is reported with it, also after its owner has died', async () => {
  const [free, dead] = [await world.insert(), await owned(await addProcess({ updated_at: ago(400) }))]
  for (const id of [free, dead]) {
    await whileLocked(id, async (pid) => {
      expect(await why(id)).toMatchObject({
        reason: 'advisory_locked',
        session: { pid, applicationName: 'stranger', connectedAt: expect.any(Date) },
      })
    })
  }
})

test('a job whose process has an expired row or no advisory lock any more is claimed by a dead process', async () => {
  for (const columns of [{ updated_at: ago(400) }, { lock_type: 0 }]) {
    const owner = await addProcess(columns)
    const reason = { reason: 'claimed_by_dead_process', process: { id: owner, state: 'dead' }, hasLiveWorker: false }
    expect(await why(await owned(owner))).toMatchObject(reason)
  }
})

test('a future job is scheduled, or waits for its retry with the error of its last attempt', async () => {
  await addProcess()
  const at = ago(-600)
  expect(await why(await world.insert({ scheduled_at: at }))).toMatchObject({ reason: 'scheduled', at: new Date(at) })
  const retried = await world.insert({ scheduled_at: at, error: 'TypeError: no', executions_count: 2 })
  expect(await why(retried)).toMatchObject({ reason: 'retried', at: new Date(at), attempt: 3, error: 'TypeError: no' })
})

test('a job is paused by queue, class or label, unless no live worker honours pauses', async () => {
  await addNodeProcess(['EchoJob'], true)
  const id = await world.insert({ labels: ['vip'] })
  for (const [target, pause] of [
    [{ queue: 'default' }, { by: 'queue', name: 'default' }],
    [{ jobClass: 'EchoJob' }, { by: 'class', name: 'EchoJob' }],
    [{ label: 'vip' }, { by: 'label', name: 'vip' }],
  ] as const) {
    await world.adapter.pause(target)
    expect(await why(id)).toMatchObject({ reason: 'paused', pause, workers: { honouring: 1, ignoring: 0, unknown: 0 } })
    await world.adapter.unpause(target)
  }
  await world.sql('DELETE FROM good_job_processes')
  await addNodeProcess(['EchoJob'], false)
  await world.adapter.pause({ label: 'vip' })
  expect(await why(id)).toMatchObject({ reason: 'due', ignoredPause: { by: 'label', name: 'vip' } })
})

test('a due job is reported without any live worker, without one of its queue, or without one of its class', async () => {
  const id = await world.insert({ queue_name: 'mail' })
  expect(await why(id)).toMatchObject({ reason: 'no_worker' })
  await addProcess({ updated_at: ago(400), queues: 'mail' })
  expect(await why(id)).toMatchObject({ reason: 'no_worker' })
  await addProcess({ queues: 'a,b' })
  await addProcess({ queues: '-mail' })
  const unserved = await why(id)
  expect(unserved).toMatchObject({ reason: 'queue_unserved', queue: 'mail' })
  expect('pools' in unserved ? [...unserved.pools].sort() : []).toEqual(['-mail', 'a,b'])
  await addNodeProcess(['OtherJob'])
  expect(await why(id)).toMatchObject({
    reason: 'class_unknown',
    jobClass: 'EchoJob',
    workers: [{ hostname: 'web-1', pid: '7' }],
  })
  await addProcess({ queues: 'mail' })
  expect(await why(id)).toMatchObject({ reason: 'due', mayLackClass: true })
})

test('a job that a concurrency rule of GoodJob refused waits, until it is promoted', async () => {
  await addProcess()
  const id = await world.insert()
  await world.sql(
    `INSERT INTO good_job_concurrency_claims (job_id, key, state, created_at, updated_at)
     VALUES ($1, 'key:b', 0, $2, $2), ($1, 'key:a', 0, $3, $3), ($1, 'key:c', 1, $3, $3)`,
    [id, ago(5), ago(9)],
  )
  expect(await why(id)).toMatchObject({ reason: 'concurrency_limited', keys: ['key:a', 'key:b'] })
  await world.sql('UPDATE good_job_concurrency_claims SET state = 3 WHERE job_id = $1', [id])
  expect(await why(id)).toMatchObject({ reason: 'due' })
})

test('a due job counts the due jobs of its queue that sort before it', async () => {
  await addNodeProcess(['EchoJob'])
  const id = await world.insert({ priority: 5, created_at: ago(60), scheduled_at: ago(60) })
  for (const columns of [
    { priority: 1 },
    { priority: 5, created_at: ago(61) },
    { priority: 5 },
    { priority: 6, created_at: ago(99) },
    { priority: 1, scheduled_at: ago(-60) },
    { priority: 1, finished_at: ago(1) },
    { priority: 1, queue_name: 'other' },
    { priority: 1, locked_by_id: randomUUID() },
  ])
    await world.insert(columns)
  expect(await why(id)).toMatchObject({ reason: 'due', jobsBefore: 2, isCapped: false, mayLackClass: false })
  const last = await world.insert({ priority: null })
  expect(await why(last)).toMatchObject({ jobsBefore: 5 })
  const nowhere = await world.insert({ queue_name: null, priority: null })
  expect(await why(nowhere)).toMatchObject({ queue: null, jobsBefore: 0 })
})

test('the count of the jobs before a due job ends at ten thousand rows, and is marked as incomplete', async () => {
  await world.sql(
    `INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
     SELECT id, id, 'EchoJob', 'default', 0, '{}', $1, $1, $1 FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 10001)) AS job`,
    [ago(90)],
  )
  await addProcess()
  expect(await why(await world.insert())).toMatchObject({ jobsBefore: 10_000, isCapped: true })
})

test('a clock that differs from the server is reported; jobs are due by the clock of the server', async () => {
  await addProcess()
  const id = await world.insert({ scheduled_at: ago(-60) })
  for (const seconds of [3600, -3600]) {
    const adapter = new Adapter({ databaseUrl: world.url, clock: createClock(seconds * 1000) })
    const { clockAheadSeconds, reason } = await adapter.why(id)
    expect(reason).toBe('scheduled')
    expect(Math.abs((clockAheadSeconds ?? 0) - seconds)).toBeLessThanOrEqual(2)
    await adapter.close()
  }
})
