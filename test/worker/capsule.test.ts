import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { ConnectionTimeoutError, SchemaError } from '../../src/errors.ts'
import { Capsule } from '../../src/worker/capsule.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

const EchoJob = jobClass('EchoJob', () => {})
const processIds = async () =>
  (await world.sql<{ id: string }>('SELECT id FROM good_job_processes ORDER BY created_at')).map(({ id }) => id)

describe('two capsules in one process', () => {
  test('have separate ids, process rows and jobs, and stop independently [GJ-112]', async () => {
    await using first = await world.start({ jobs: [EchoJob], queues: 'a' })
    const second = await world.start({ jobs: [EchoJob], queues: 'b' })
    expect((await processIds()).sort()).toEqual([first.processId, second.processId].sort())
    const [a, b] = [await enqueue(EchoJob, { queue: 'a' }), await enqueue(EchoJob, { queue: 'b' })]
    await until(
      async () => (await world.sql('SELECT FROM good_jobs WHERE finished_at IS NULL')).length === 0,
      'both jobs ran',
    )
    expect(await world.executions(a)).toMatchObject([{ process_id: first.processId }])
    expect(await world.executions(b)).toMatchObject([{ process_id: second.processId }])
    await second.shutdown()
    expect(await processIds()).toEqual([first.processId])
    await performed(await enqueue(EchoJob, { queue: 'a' }))
  })

  test('can work the same queue without running a job twice', async () => {
    const runs = new Map<string, number>()
    const CountJob = jobClass('CountJob', (job) => void runs.set(job.jobId, (runs.get(job.jobId) ?? 0) + 1))
    const capsules = await Promise.all(Array.from({ length: 4 }, () => world.start({ jobs: [CountJob], threads: 3 })))
    const done = next('perform_job', 200)
    await Promise.all(Array.from({ length: 200 }, () => enqueue(CountJob)))
    await done
    await Promise.all(capsules.map((capsule) => capsule.shutdown()))
    expect(runs.size).toBe(200)
    expect([...runs.values()].every((times) => times === 1)).toBe(true)
    expect(await processIds()).toEqual([])
  })
})

test('five capsules that start and stop at once, each with a pool of one connection, leave nothing behind and do not block each other', async () => {
  const errors = record('worker_error')
  const capsules = Array.from(
    { length: 5 },
    () => new Capsule({ databaseUrl: world.url, jobs: [EchoJob], poolSize: 1, batchSweepInterval: 3_600 }),
  )
  const swept = next('batch_sweep')
  await Promise.all(capsules.map((capsule) => capsule.start()))
  await swept
  const [one] = capsules
  await one?.adapter.enqueueAll(Array.from({ length: 1_001 }, () => new (EchoJob as unknown as new () => never)()))
  await Promise.all(capsules.map((capsule) => capsule.shutdown()))
  expect(errors.seen).toEqual([])
  errors.stop()
  expect(await processIds()).toEqual([])
})

describe('start and shutdown', () => {
  test('a shutdown while the start waits for Postgres ends both at once', async () => {
    await using network = await FaultyNetwork.start(world.url)
    network.refuse()
    const capsule = new Capsule({ databaseUrl: network.url, jobs: [EchoJob], connectTimeout: 3_600 })
    const waiting = next('connection_retry', 2)
    const started = capsule.start().then(
      () => 'started',
      () => 'refused',
    )
    await waiting
    await capsule.shutdown()
    expect(await started).toBe('refused')
    expect(capsule.state).toBe('stopped')
  })

  test('a shutdown in the middle of a start leaves nothing behind', async () => {
    const capsule = new Capsule({ databaseUrl: world.url, jobs: [EchoJob] })
    const started = capsule.start().catch(() => undefined)
    await capsule.shutdown()
    await started
    expect(capsule.state).toBe('stopped')
    expect(await processIds()).toEqual([])
  })

  test('a failed start can be repeated: first without Postgres, then without the tables, then successfully', async () => {
    await using network = await FaultyNetwork.start(world.url)
    network.refuse()
    const capsule = new Capsule({ databaseUrl: network.url, jobs: [EchoJob], connectTimeout: 0.1 })
    await expect(Promise.all([capsule.start(), capsule.start()])).rejects.toThrow(ConnectionTimeoutError)
    expect(capsule.state).toBe('created')
    await network.accept()
    await world.sql('ALTER TABLE good_jobs RENAME TO moved')
    await expect(capsule.start()).rejects.toThrow(SchemaError)
    await until(async () => network.count() === 0, 'its connections are closed')
    await world.sql('ALTER TABLE moved RENAME TO good_jobs')
    await capsule.start()
    expect(capsule.state).toBe('running')
    await performed(await enqueue(EchoJob))
    await capsule.shutdown()
    expect(capsule.state).toBe('stopped')
    expect(await processIds()).toEqual([])
  })

  test("a start that failed while it wrote its process row can be repeated, also with the caller's pool", async () => {
    const pool = world.database.pool()
    const capsule = new Capsule({ pool, jobs: [EchoJob] })
    await world.sql('ALTER TABLE good_job_processes ADD CONSTRAINT no_row CHECK (false)')
    await expect(capsule.start()).rejects.toMatchObject({ code: '23514' })
    await world.sql('ALTER TABLE good_job_processes DROP CONSTRAINT no_row')
    await capsule.start()
    await performed(await enqueue(EchoJob))
    await capsule.shutdown()
  })

  test('a capsule that was shut down after a failed start cannot be started again', async () => {
    await using network = await FaultyNetwork.start(world.url)
    network.refuse()
    const capsule = new Capsule({ databaseUrl: network.url, jobs: [EchoJob], connectTimeout: 0 })
    await expect(capsule.start()).rejects.toThrow(ConnectionTimeoutError)
    await capsule.shutdown()
    expect(capsule.state).toBe('stopped')
    await expect(capsule.start()).rejects.toThrow(/was shut down; restart\(\) starts it again/)
  })

  test('a capsule that was shut down refuses to start again with an error that says so', async () => {
    const used = await world.start({ jobs: [EchoJob] })
    const fresh = new Capsule({ databaseUrl: world.url, jobs: [EchoJob] })
    for (const capsule of [used, fresh]) {
      await capsule.shutdown()
      await expect(capsule.start()).rejects.toThrow(/was shut down; restart\(\) starts it again/)
    }
  })

  test('idleSeconds counts from the end of the last job, and is 0 while one runs [GJ-088]', async () => {
    const gate = new Gate()
    const GateJob = jobClass('GateJob', (job) => gate.pass(job))
    let ms = 0
    const clock = { now: () => new Date(), timestamp: () => new Date().toISOString(), monotonic: () => ms }
    await using capsule = await world.start({ jobs: [GateJob], clock })
    ms = 5_000
    expect(capsule.idleSeconds).toBe(5)
    const id = await enqueue(GateJob)
    await gate.entered
    ms = 9_000
    expect(capsule.idleSeconds).toBe(0)
    expect(capsule.activeJobIds).toEqual([id])
    const done = performed(id)
    gate.open()
    await done
    ms = 11_000
    await until(async () => capsule.idleSeconds > 0, 'idle')
    expect(capsule.idleSeconds).toBe(2)
  })
})

describe('a shutdown while Postgres is unreachable', () => {
  const stopWithoutPostgres = async (shutdown: (capsule: Capsule) => Promise<void>): Promise<void> => {
    const gate = new Gate()
    const GateJob = jobClass('GateJob', (job) => gate.pass(job))
    await using network = await FaultyNetwork.start(world.url)
    // The cleanup at the start emits an event only if it finds something. Awaited here, as a cut in its middle would emit an error.
    await world.sql(`INSERT INTO good_job_processes (id, created_at, updated_at)
      VALUES (gen_random_uuid(), now() - interval '1 hour', now() - interval '1 hour')`)
    const cleaned = next('processes_released')
    const capsule = await world.start({ jobs: [GateJob], databaseUrl: network.url })
    const id = await enqueue(GateJob)
    await Promise.all([cleaned, gate.entered])
    network.refuse()
    network.cut()
    const failed = next('outcome_write_failed')
    gate.open()
    await failed
    await shutdown(capsule)
    expect(capsule.state).toBe('stopped')
    expect(await world.job(id)).toMatchObject({ finished_at: null, locked_by_id: capsule.processId })
    await world.sql(`UPDATE good_job_processes SET updated_at = updated_at - interval '6 minutes'`)
    const again = performed(id)
    await using _next = await world.start({ jobs: [jobClass('GateJob', () => {})] })
    await again
    expect((await world.executions(id)).map(({ error_event }) => error_event)).toEqual([0, null])
  }

  test('abandons the outcomes at its deadline; their jobs run again as interrupted [GJ-089]', () =>
    stopWithoutPostgres((capsule) => capsule.shutdown({ timeout: 0.3 })))

  test('waits for Postgres with timeout -1 until abort is called', () =>
    stopWithoutPostgres(async (capsule) => {
      const errors = record('worker_error')
      const stopping = capsule.shutdown({ timeout: -1 })
      await next('outcome_write_failed')
      expect(capsule.state).toBe('stopping')
      capsule.abort()
      await stopping
      expect(errors.seen.map(({ part }) => part)).toEqual(['process row'])
      errors.stop()
    }))
})

test('claiming stops at the shutdown, also with jobs left and a claim under way [GJ-085]', async () => {
  const SlowJob = jobClass('SlowJob', () => new Promise((resolve) => setTimeout(resolve, 2)))
  for (let index = 0; index < 200; index++) await enqueue(SlowJob)
  const ended = next('perform_job', 5)
  const capsule = await world.start({ jobs: [SlowJob], threads: 2 })
  await ended
  await capsule.shutdown()
  const [counts] = await world.sql<{ done: number; open: number; touched: number }>(
    `SELECT count(*) FILTER (WHERE finished_at IS NOT NULL)::int AS done, count(*) FILTER (WHERE finished_at IS NULL)::int AS open,
       count(*) FILTER (WHERE finished_at IS NULL AND (performed_at IS NOT NULL OR locked_by_id IS NOT NULL))::int AS touched FROM good_jobs`,
  )
  expect(counts?.touched).toBe(0)
  expect(counts?.open).toBeGreaterThan(0)
  expect(counts?.done).toBeGreaterThanOrEqual(5)
})
