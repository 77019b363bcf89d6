import { afterAll, beforeEach, expect, test } from 'vitest'
import { refuseUpdates, startWorkerProcess } from '../support/faults.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'
import { advisoryLocks, backends, noLocks, terminate } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_processes'))

const LONG_ROUND = { deferStart: 60_000, pollInterval: 0.1 }
const DISK_FULL = '53100'
const noRoom = () => refuseUpdates(world, { message: 'no room', code: DISK_FULL })
const messageOf = ({ error }: { error: unknown }) => (error as Error).message

/** A class that counts how often each job ran. */
const countingJob = () => {
  const runs = new Map<string, number>()
  const CountJob = jobClass('CountJob', ({ jobId }) => {
    runs.set(jobId, (runs.get(jobId) ?? 0) + 1)
  })
  return { CountJob, timesRun: () => [...runs.values()] }
}

const expectDoneOnce = async (...ids: string[]) => {
  for (const id of ids) {
    expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
    expect(await world.executions(id)).toMatchObject([{ error: null }])
  }
  await noLocks(world)
}

test('jobs of a round whose outcomes and starts cannot be written run again once they can be, and not before', async () => {
  await using refusal = await refuseUpdates(world, { message: 'not at all' })
  const { CountJob, timesRun } = countingJob()
  const ids = await Promise.all(Array.from({ length: 3 }, () => enqueue(CountJob)))
  const isLost = next('lane_lost')
  const areDropped = next('outcome_lost', ids.length)
  await using _capsule = await world.start({ jobs: [CountJob], ...LONG_ROUND })
  expect((await isLost)[0]?.error).toMatchObject({ message: 'not at all' })
  await areDropped
  const isRefused = next('claim_failed', 2)
  // Their next start is written before `perform` begins.
  expect((await isRefused).map(messageOf)).toEqual(['not at all', 'not at all'])
  expect(timesRun()).toEqual([1, 1, 1])
  const areDone = performed(...ids)
  await refusal[Symbol.asyncDispose]()
  await areDone
  expect(timesRun()).toEqual([2, 2, 2])
  await expectDoneOnce(...ids)
})

test('the starts of a round are written once the server has disk space, and its jobs run once', async () => {
  await using refusal = await noRoom()
  const { CountJob, timesRun } = countingJob()
  const ids = await Promise.all(Array.from({ length: 3 }, () => enqueue(CountJob)))
  const losses = record('lane_lost')
  const isKept = next('outcome_write_failed', 2)
  await using _capsule = await world.start({ jobs: [CountJob], ...LONG_ROUND })
  expect(await isKept).toMatchObject([
    { jobs: 3, attempt: 1, error: { code: DISK_FULL } },
    { jobs: 3, attempt: 2, error: { code: DISK_FULL } },
  ])
  expect(await advisoryLocks(world)).toHaveLength(3)
  const isRefused = next('claim_failed')
  // Jobs claimed from now on begin only after their start is written.
  const late = await enqueue(CountJob)
  expect((await isRefused).map(messageOf)).toEqual(['no room'])
  expect(timesRun()).toEqual([1, 1, 1])
  const areDone = performed(...ids, late)
  await refusal[Symbol.asyncDispose]()
  await areDone
  expect(timesRun()).toEqual([1, 1, 1, 1])
  await expectDoneOnce(...ids, late)
  losses.stop()
  expect(losses.seen).toEqual([])
})

test('starts are deferred again once a start could be written', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const { CountJob } = countingJob()
  await using refusal = await noRoom()
  const isKept = next('outcome_write_failed')
  const id = await enqueue(CountJob)
  await using _capsule = await world.start({ jobs: [CountJob, GateJob], ...LONG_ROUND })
  await isKept
  const isDone = performed(id)
  await refusal[Symbol.asyncDispose]()
  await isDone
  const deferred = await enqueue(GateJob)
  await gate.entered
  expect(await world.job(deferred)).toMatchObject({ performed_at: null, locked_by_id: null })
  const isOver = performed(deferred)
  gate.open()
  await isOver
  await expectDoneOnce(id, deferred)
})

test('a job that may only begin after its start is written waits for disk space', async () => {
  await using refusal = await noRoom()
  const { CountJob, timesRun } = countingJob()
  const isKept = next('outcome_write_failed', 2)
  const id = await world.insert({ job_class: 'CountJob', labels: ['red'] })
  await using _capsule = await world.start({ jobs: [CountJob], ...LONG_ROUND })
  expect(await isKept).toMatchObject([{ jobs: 0 }, { jobs: 0 }])
  expect(timesRun()).toEqual([])
  const isDone = performed(id)
  await refusal[Symbol.asyncDispose]()
  await isDone
  expect(timesRun()).toEqual([1])
  await expectDoneOnce(id)
})

test('a job that blocks the event loop while its start cannot be written keeps its lock and runs once', async () => {
  const worker = await startWorkerProcess(world.url, { deferStart: 5 })
  await using refusal = await noRoom()
  const id = await enqueue(
    jobClass('BlockJob', () => {}),
    {},
    1_500,
  )
  expect(await worker.line('started')).toBe(id)
  let hasEnded = false
  const isEnded = worker.line('ended').then(() => {
    hasEnded = true
  })
  const [lock] = await advisoryLocks(world)
  await until(
    async () => (await backends(world, 'GoodJob::Lane')).every(({ state }) => state === 'idle'),
    'the transaction is over',
  )
  expect(hasEnded).toBe(false)
  await isEnded
  expect(await advisoryLocks(world)).toEqual([lock])
  expect(await world.job(id)).toMatchObject({ performed_at: null })
  await refusal[Symbol.asyncDispose]()
  await until(async () => (await world.job(id)).finished_at !== null, 'the end is written')
  await expectDoneOnce(id)
  expect(await worker.stop()).toBe(0)
})

test('jobs whose starts wait for disk space in a session that is terminated run again', async () => {
  await using refusal = await noRoom()
  const { CountJob, timesRun } = countingJob()
  const isKept = next('outcome_write_failed')
  await using _capsule = await world.start({ jobs: [CountJob], ...LONG_ROUND })
  const id = await enqueue(CountJob)
  await isKept
  const isDropped = next('outcome_lost')
  const isRestored = next('lane_restored')
  await terminate(world, 'GoodJob::Lane')
  await Promise.all([isDropped, isRestored])
  const isDone = performed(id)
  await refusal[Symbol.asyncDispose]()
  await isDone
  expect(timesRun()).toEqual([2])
  await expectDoneOnce(id)
})

test('a shutdown waits for disk space no longer than its timeout, and leaves the jobs to other workers', async () => {
  const { CountJob, timesRun } = countingJob()
  const id = await enqueue(CountJob)
  {
    await using _refusal = await noRoom()
    const isKept = next('outcome_write_failed')
    const capsule = await world.start({ jobs: [CountJob], ...LONG_ROUND })
    await isKept
    await capsule.shutdown({ timeout: 0.2 })
    expect(await world.job(id)).toMatchObject({ performed_at: null, locked_by_id: null })
    await noLocks(world)
    expect(await world.sql('SELECT id FROM good_job_processes')).toEqual([])
  }
  const isDone = performed(id)
  await using _next = await world.start({ jobs: [CountJob], ...LONG_ROUND })
  await isDone
  expect(timesRun()).toEqual([2])
  await expectDoneOnce(id)
})
