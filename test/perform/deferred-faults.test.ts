import { afterAll, beforeEach, expect, test } from 'vitest'
import { refuseUpdates, startWorkerProcess } from '../support/faults.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, until } from '../support/harness.ts'
import { advisoryLocks, backends, noLocks, terminate } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_processes'))

const LONG_ROUND = { deferStart: 60_000 }
const EchoJob = jobClass('EchoJob', () => {})

test('a job that blocks the event loop is started by a thread, and keeps its lock', async () => {
  const worker = await startWorkerProcess(world.url, { deferStart: 5 })
  let hasEnded = false
  const isEnded = worker.line('ended').then(() => {
    hasEnded = true
  })
  const id = await enqueue(
    jobClass('BlockJob', () => {}),
    {},
    1_500,
  )
  expect(await worker.line('started')).toBe(id)
  await until(async () => (await world.job(id)).performed_at !== null, 'the start is written')
  expect(hasEnded).toBe(false)
  expect(await world.job(id)).toMatchObject({ locked_by_id: worker.processId, executions_count: 1 })
  expect((await backends(world, 'GoodJob::Lane')).map(({ state }) => state)).toEqual(['idle'])
  expect(await advisoryLocks(world)).toHaveLength(1)
  await isEnded
  await until(async () => (await world.job(id)).finished_at !== null, 'the end is written')
  expect(await world.executions(id)).toMatchObject([{ error: null }])
  expect(await worker.stop()).toBe(0)
})

test('a worker that is killed within a round leaves the row of its job unchanged', async () => {
  const HangJob = jobClass('HangJob', () => {})
  const worker = await startWorkerProcess(world.url, LONG_ROUND)
  const id = await enqueue(HangJob)
  expect(await worker.line('started')).toBe(id)
  await worker.kill()
  await noLocks(world)
  expect(await world.job(id)).toMatchObject({ performed_at: null, executions_count: null, locked_by_id: null })
  expect(await world.executions(id)).toEqual([])
  const done = performed(id)
  await using _capsule = await world.start({ jobs: [HangJob] })
  await done
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
})

test('the jobs of a round whose session is terminated run again; the results of the first run are dropped', async () => {
  const gates = [new Gate(), new Gate()]
  let run = 0
  const GateJob = jobClass('GateJob', (job) => gates[run++]?.pass(job))
  await using _capsule = await world.start({ jobs: [GateJob], threads: 1, ...LONG_ROUND })
  const id = await enqueue(GateJob)
  const first = await gates[0]?.entered
  const isRestored = next('lane_restored')
  await terminate(world, 'GoodJob::Lane')
  await isRestored
  expect(first?.signal.aborted).toBe(true)
  const isDropped = next('outcome_lost')
  gates[0]?.open()
  await isDropped
  const done = performed(id)
  await gates[1]?.entered
  gates[1]?.open()
  await done
  expect(await world.executions(id)).toHaveLength(1)
  await noLocks(world)
})

/** Until disposed, no outcome can be written together with its start. */
const refusingRounds = async (work: () => Promise<void>): Promise<void> => {
  {
    await using _refusal = await refuseUpdates(world, {
      message: 'not like this',
      condition: 'NEW.finished_at IS NOT NULL AND OLD.locked_by_id IS NULL',
    })
    await work()
  }
  await noLocks(world)
}

test('outcomes that a round cannot write together are written one by one', () =>
  refusingRounds(async () => {
    await using _capsule = await world.start({ jobs: [EchoJob], ...LONG_ROUND })
    const isTold = next('outcome_write_failed')
    const id = await enqueue(EchoJob)
    await performed(id)
    expect((await isTold)[0]?.error).toMatchObject({ message: 'not like this' })
    expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
    expect(await world.executions(id)).toMatchObject([{ error: null }])
  }))

test('a round opened behind a round that could not be written is rolled back, and its jobs run once', () =>
  refusingRounds(async () => {
    const ids = await Promise.all(Array.from({ length: 15 }, () => enqueue(EchoJob)))
    const undone = next('claim_failed')
    await using _capsule = await world.start({ jobs: [EchoJob], threads: 5, ...LONG_ROUND })
    await performed(...ids)
    expect((await undone)[0]?.error).toMatchObject({ message: 'the previous round could not be written' })
    for (const id of ids) {
      expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
      expect(await world.executions(id)).toMatchObject([{ error: null }])
    }
  }))

test("a DBA's idle_in_transaction_session_timeout does not end a round", async () => {
  const database = world.database.url.split('/').at(-1)?.split('?')[0]
  await world.sql(`ALTER DATABASE "${database}" SET idle_in_transaction_session_timeout = '50ms'`)
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using _capsule = await world.start({ jobs: [GateJob], ...LONG_ROUND })
  const id = await enqueue(GateJob)
  await gate.entered
  const [before] = await backends(world, 'GoodJob::Lane')
  // More than the server's timeout passes, on the server itself.
  await world.sql('SELECT pg_sleep(0.3)')
  expect(await backends(world, 'GoodJob::Lane')).toEqual([{ ...before, state: 'idle in transaction' }])
  const done = performed(id)
  gate.open()
  await done
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
  await world.sql(`ALTER DATABASE "${database}" RESET idle_in_transaction_session_timeout`)
})

test('a shutdown without a wait writes the starts of an open round and releases its jobs', async () => {
  const HangJob = jobClass(
    'HangJob',
    (job) =>
      new Promise((_resolve, reject) => {
        job.signal.addEventListener('abort', () => reject(job.signal.reason), { once: true })
      }),
  )
  const gate = new Gate()
  const WatchedJob = jobClass('WatchedJob', (job) => {
    void gate.pass(job)
    return HangJob.prototype.perform.call(job)
  })
  const capsule = await world.start({ jobs: [WatchedJob], deferStart: 200 })
  const id = await enqueue(WatchedJob)
  await gate.entered
  await capsule.shutdown({ timeout: 0 })
  expect(await world.job(id)).toMatchObject({ finished_at: null, locked_by_id: null })
  await noLocks(world)
  expect(await world.sql('SELECT id FROM good_job_processes')).toEqual([])
})
