import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { advisoryKey, jobLockKey } from '../../src/sql/advisory-lock.ts'
import { ago, enqueue, Gate, insertEchoJobs, jobClass, next, openWorld, performed, until } from '../support/harness.ts'
import { sendMessage } from '../support/messages.ts'
import { RubyWorker } from '../support/ruby-worker.ts'
import { advisoryLocks, noLocks } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

const EchoJob = jobClass('EchoJob', () => {})

test.each([
  ['good_jobs-00000000-0000-0000-0000-000000000001', '-7494713107797847757'],
  ['good_job_processes-00000000-0000-0000-0000-000000000001', '-2810727632018810485'],
  ['good_job_batches-00000000-0000-0000-0000-000000000001', '8904480428901062363'],
  ['label:user-1', '7241765242001307690'],
  ['all', '-6808978627802423400'],
])('the advisory key of %s is %s [GJ-027]', (name, key) => {
  expect(advisoryKey(name)).toBe(key)
})

test('a running job has its advisory lock, its locked_by_id and the process row; afterwards no lock is held [GJ-028, GJ-029, GJ-040]', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using capsule = await world.start({ jobs: [GateJob] })
  const id = await enqueue(GateJob)
  await gate.entered
  expect(await advisoryLocks(world)).toEqual([jobLockKey(id)])
  expect(await world.job(id)).toMatchObject({ locked_by_id: capsule.processId, lock_type: 2, finished_at: null })
  const { locked_at, performed_at } = await world.job(id)
  expect(Number(locked_at)).toBeLessThanOrEqual(Number(performed_at))
  expect(await world.sql('SELECT id, lock_type FROM good_job_processes')).toEqual([
    { id: capsule.processId, lock_type: null },
  ])
  const done = performed(id)
  gate.open()
  await done
  await noLocks(world)
  expect(await world.job(id)).toMatchObject({ locked_by_id: null, locked_at: null, lock_type: null })
})

test('after a thousand jobs no lock is left, not even a second one of the same job [GJ-040]', async () => {
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 50 })
  const done = next('perform_job', 1_000)
  await insertEchoJobs(world, 1_000)
  await sendMessage(world.pool, '{}')
  await done
  await noLocks(world)
})

test('a job whose advisory lock another session holds is skipped, and the next job starts [GJ-033, GJ-035]', async () => {
  const held = await world.insert({ priority: -1 })
  const free = await world.insert()
  const session = await world.database.connect()
  await session.query('SELECT pg_advisory_lock($1)', [jobLockKey(held)])
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 1 })
  await performed(free)
  expect(await world.job(held)).toMatchObject({ performed_at: null, locked_by_id: null, executions_count: null })
  const done = performed(held)
  await session.end()
  await world.sql(`NOTIFY good_job, '{}'`)
  await done
})

test('a job with a locked_by_id is not started, although no session holds its advisory lock [GJ-034]', async () => {
  const owner = randomUUID()
  await world.sql(
    `INSERT INTO good_job_processes (id, state, created_at, updated_at) VALUES ($1, '{}', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')`,
    [owner],
  )
  const owned = await world.insert({ priority: -1, locked_by_id: owner, locked_at: ago(5), lock_type: 1 })
  const free = await world.insert()
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 1 })
  await performed(free)
  expect(await world.job(owned)).toMatchObject({ performed_at: null, locked_by_id: owner, executions_count: null })
  await world.sql('DELETE FROM good_job_processes WHERE id = $1', [owner])
})

test('a row locked by another transaction is skipped without a wait [GJ-035]', async () => {
  const held = await world.insert({ priority: -1 })
  const free = await world.insert()
  const session = await world.database.connect()
  await session.query('BEGIN')
  await session.query('SELECT FROM good_jobs WHERE id = $1 FOR UPDATE', [held])
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 1 })
  await performed(free)
  const done = performed(held)
  await session.query('ROLLBACK')
  await session.end()
  await world.sql(`NOTIFY good_job, '{}'`)
  await done
})

test('a running job whose locked_by_id was cleared is not started a second time by its own process [GJ-041]', async () => {
  const gate = new Gate()
  let runs = 0
  const GateJob = jobClass('GateJob', async (job) => {
    runs += 1
    await gate.pass(job)
  })
  await using _capsule = await world.start({ jobs: [GateJob, EchoJob], threads: 5 })
  const id = await enqueue(GateJob)
  await gate.entered
  await world.sql('UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL WHERE id = $1', [id])
  const other = EchoJob.performLater()
  await next('perform_job', 1, ({ jobClass: name }) => name === 'EchoJob')
  await other
  expect(runs).toBe(1)
  const lost = next('outcome_lost', 1, ({ jobId }) => jobId === id)
  const again = performed(id)
  gate.open()
  await lost
  await world.sql(`NOTIFY good_job, '{}'`)
  await again
  expect(runs).toBe(2)
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 2 })
})

describe('beside a Ruby worker', () => {
  test.each(['advisory', 'skiplocked', 'hybrid'] as const)(
    'a hundred jobs shared with a Ruby worker (%s) each run once [GJ-030, GJ-031, GJ-032]',
    async (strategy) => {
      const runs = new Map<string, number>()
      const count = (id: string) => runs.set(id, (runs.get(id) ?? 0) + 1)
      const CountJob = jobClass('EchoJob', async (job) => {
        count(job.jobId)
        await new Promise((resolve) => setTimeout(resolve, 1))
      })
      const ruby = await RubyWorker.connect(world, strategy)
      const ids: string[] = []
      for (let index = 0; index < 100; index++) ids.push(await world.insert())
      await using _capsule = await world.start({ jobs: [CountJob], threads: 3 })
      await ruby.runAll(async (id) => void count(id))
      await until(
        async () => (await world.sql('SELECT id FROM good_jobs WHERE finished_at IS NULL')).length === 0,
        'all jobs finished',
      )
      expect([...runs.values()].filter((times) => times !== 1)).toEqual([])
      expect(runs.size).toBe(100)
      expect(ruby.ran.length).toBeGreaterThan(0)
      expect(ruby.ran.length).toBeLessThan(100)
      expect(ruby.interrupted).toEqual([])
      expect(await world.sql('SELECT active_job_id FROM good_job_executions GROUP BY 1 HAVING count(*) > 1')).toEqual(
        [],
      )
    },
  )

  test.each(['advisory', 'hybrid'] as const)(
    'a Ruby worker with %s locks does not take a job that runs here, even without a locked_by_id',
    async (strategy) => {
      const gate = new Gate()
      const GateJob = jobClass('GateJob', (job) => gate.pass(job))
      const capsule = await world.start({ jobs: [GateJob] })
      const id = await enqueue(GateJob)
      await gate.entered
      const ruby = await RubyWorker.connect(world, strategy)
      expect(await ruby.claim()).toBeUndefined()
      await world.sql('UPDATE good_jobs SET locked_by_id = NULL WHERE id = $1', [id])
      expect(await ruby.claim()).toBeUndefined()
      gate.open()
      await next('outcome_lost')
      await capsule.shutdown()
    },
  )
})
