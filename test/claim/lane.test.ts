import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { jobLockKey } from '../../src/sql/advisory-lock.ts'
import { systemClock } from '../../src/time.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'
import { RubyWorker } from '../support/ruby-worker.ts'
import { advisoryLocks, terminate } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

const EchoJob = jobClass('EchoJob', () => {})

test('a lane whose session is terminated takes the locks of its running jobs back, and their outcomes are written [GJ-042]', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using _capsule = await world.start({ jobs: [GateJob, EchoJob] })
  const id = await enqueue(GateJob)
  const job = await gate.entered
  const [lost, restored] = [next('lane_lost'), next('lane_restored')]
  await terminate(world, 'GoodJob::Lane')
  expect((await lost)[0]).toMatchObject({ heldLocks: 1 })
  expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
  expect(await advisoryLocks(world)).toEqual([jobLockKey(id)])
  expect(job.signal.aborted).toBe(false)
  const done = performed(id)
  gate.open()
  await done
  await until(async () => (await advisoryLocks(world)).length === 0, 'no lock left')
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
  await performed(await enqueue(EchoJob))
})

test.each([0, 5])('a lane that is lost reports the reason, starts deferred by %i ms', async (deferStart) => {
  await using _capsule = await world.start({ jobs: [EchoJob], deferStart })
  const isLost = next('lane_lost')
  await terminate(world, 'GoodJob::Lane')
  expect((await isLost)[0]?.error).toBeInstanceOf(Error)
})

test('a job that another worker took while the lane was disconnected gets its signal aborted, and its result is dropped [GJ-042]', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using proxy = await FaultyNetwork.start(world.url)
  // No attempt gets old enough for the attempt watch, which could otherwise abort it before the lane is back.
  const clock = { ...systemClock, monotonic: () => 0 }
  const capsule = await world.start({ jobs: [GateJob], databaseUrl: proxy.url, clock })
  const id = await enqueue(GateJob)
  const job = await gate.entered
  const isLost = next('lane_lost')
  proxy.refuse()
  proxy.cut('GoodJob::Lane')
  await isLost
  const ruby = await RubyWorker.connect(world, 'advisory')
  await until(async () => (await advisoryLocks(world)).length === 0, 'the server noticed the cut')
  const performedIds: string[] = []
  const running = new Gate()
  const other = ruby.runAll(async (claimed) => {
    performedIds.push(claimed)
    await running.pass(job)
  })
  await running.entered
  expect(performedIds).toEqual([id])
  expect(ruby.interrupted).toEqual([id])
  const restored = next('lane_restored')
  await proxy.accept()
  expect((await restored)[0]).toMatchObject({ keptLocks: 0, lostLocks: 1 })
  expect(job.signal.aborted).toBe(true)
  expect(String(job.signal.reason)).toMatch(/advisory lock of job .* was lost/)
  const dropped = next('outcome_lost')
  gate.open()
  expect((await dropped)[0]).toMatchObject({ jobId: id, outcome: 'succeeded' })
  expect(await world.job(id)).toMatchObject({ finished_at: null, locked_by_id: ruby.processId })
  running.open()
  await other
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 2 })
  await capsule.shutdown()
})

test('a claim whose answer was lost is released, so the job runs [GJ-042]', async () => {
  await using proxy = await FaultyNetwork.start(world.url)
  await using _capsule = await world.start({ jobs: [EchoJob], databaseUrl: proxy.url, pollInterval: -1 })
  const lost = proxy.loseAnswer('GoodJob::Lane', /claim_|WITH released/, /EchoJob/)
  const [id] = [await enqueue(EchoJob)]
  const done = performed(id)
  await lost
  await done
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 2, locked_by_id: null })
  const executions = await world.executions(id)
  expect(executions.map(({ error_event }) => error_event)).toEqual([0, null])
})

test('while Postgres is unreachable running jobs continue; their outcomes are kept and written later, and new jobs are found', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using proxy = await FaultyNetwork.start(world.url)
  await using capsule = await world.start({ jobs: [GateJob, EchoJob], databaseUrl: proxy.url })
  const id = await enqueue(GateJob)
  await gate.entered
  proxy.refuse()
  proxy.cut()
  const failed = next('outcome_write_failed')
  gate.open()
  expect((await failed)[0]).toMatchObject({ jobs: 1, attempt: 1 })
  expect(await world.job(id)).toMatchObject({ finished_at: null, locked_by_id: capsule.processId })
  const waiting = await enqueue(EchoJob)
  const done = performed(id, waiting)
  await next('connection_retry', 1, ({ part }) => part === 'lane')
  await proxy.accept()
  await done
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
  expect(await world.executions(id)).toHaveLength(1)
})

test('a hundred jobs survive a terminated backend every few milliseconds: each succeeds, no two attempts overlap [GJ-042]', async () => {
  const running = new Set<string>()
  const overlaps: string[] = []
  const BusyJob = jobClass('BusyJob', async (job) => {
    if (running.has(job.jobId)) overlaps.push(job.jobId)
    running.add(job.jobId)
    await new Promise((resolve) => setTimeout(resolve, 5))
    running.delete(job.jobId)
  })
  const capsule = await world.start({ jobs: [BusyJob], threads: 10, pollInterval: 0.2 })
  for (let index = 0; index < 100; index++) await enqueue(BusyJob)
  const names = ['GoodJob::Lane', 'GoodJob::Completer', 'GoodJob::Notifier', 'GoodJob::Capsule', 'GoodJob::Process']
  const isOver = async () => (await world.sql('SELECT FROM good_jobs WHERE finished_at IS NULL LIMIT 1')).length === 0
  for (let round = 0; round < 40 && !(await isOver()); round++)
    await terminate(world, names[round % names.length] ?? '')
  await until(isOver, 'all jobs finished')
  await capsule.shutdown()
  expect(overlaps).toEqual([])
  expect(await world.sql('SELECT error FROM good_jobs WHERE error IS NOT NULL')).toEqual([])
  expect(await world.sql('SELECT id FROM good_jobs WHERE locked_by_id IS NOT NULL')).toEqual([])
  expect(await world.sql('SELECT id FROM good_job_executions WHERE finished_at IS NULL')).toEqual([])
})

describe('a schema that breaks under a running worker', () => {
  test('is reported, costs no lock, and the worker continues once the schema is repaired [GJ-040]', async () => {
    const gate = new Gate()
    const GateJob = jobClass('GateJob', (job) => gate.pass(job))
    const failures = record('claim_failed')
    await using _capsule = await world.start({ jobs: [GateJob, EchoJob] })
    const id = await enqueue(GateJob)
    await gate.entered
    await world.sql('ALTER TABLE good_jobs RENAME COLUMN cron_key TO cron_key_away')
    const failed = next('claim_failed', 2)
    const done = performed(id)
    gate.open()
    await world.sql(`NOTIFY good_job, '{}'`)
    await done
    await failed
    await world.sql('ALTER TABLE good_jobs RENAME COLUMN cron_key_away TO cron_key')
    await performed(await enqueue(EchoJob))
    await until(async () => (await advisoryLocks(world)).length === 0, 'no lock left')
    failures.stop()
  })
})

describe('a silent partition', () => {
  test('is detected: the lane reconnects and takes its locks over from the silent connection [GJ-042]', async () => {
    const gate = new Gate()
    const GateJob = jobClass('GateJob', (job) => gate.pass(job))
    await using proxy = await FaultyNetwork.start(world.url)
    const impatient = new URL(proxy.url)
    impatient.searchParams.set('query_timeout', '700')
    const capsule = await world.start({ jobs: [GateJob, EchoJob], databaseUrl: impatient.href })
    const id = await enqueue(GateJob)
    const job = await gate.entered
    const restored = next('lane_restored')
    proxy.freeze('GoodJob::Lane')
    const other = await enqueue(EchoJob)
    const done = performed(id, other)
    expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
    expect(job.signal.aborted).toBe(false)
    gate.open()
    await done
    expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
    await capsule.shutdown()
  })
})
