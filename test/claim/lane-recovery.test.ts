import { afterAll, expect, test } from 'vitest'
import { Capsule } from '../../src/worker/capsule.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, record } from '../support/harness.ts'
import { terminate } from '../support/sessions.ts'
import { Wire } from '../support/wire.ts'

const world = await openWorld()
afterAll(() => world.close())

const EchoJob = jobClass('EchoJob', () => undefined)
const ofLane = ({ part }: { readonly part: string }): boolean => part === 'lane'

/** The first pauses: 100, 200, 400 ms; a timer may be a millisecond early. */
const FOURTH_PAUSE_MS = 799
const lastGap = (times: readonly number[]): number => (times.at(-1) ?? 0) - (times.at(-2) ?? 0)

test('a lane that connects but cannot take its locks back waits longer each time, emits each failure, and keeps its jobs', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using network = await FaultyNetwork.start(world.url)
  await using _capsule = await world.start({ jobs: [GateJob], databaseUrl: network.url, pollInterval: -1 })
  const id = await enqueue(GateJob)
  const job = await gate.entered
  const losses = record('lane_lost')
  const opened = network.opened('GoodJob::Lane')
  // As while a DBA restores a table.
  await world.sql('ALTER TABLE good_jobs RENAME TO other_jobs')
  const times: number[] = []
  const retries = next('connection_retry', 5, (retry) => ofLane(retry) && times.push(performance.now()) > 0)
  const restored = next('lane_restored')
  await terminate(world, 'GoodJob::Lane')
  expect((await retries).map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5])
  expect(lastGap(times)).toBeGreaterThanOrEqual(FOURTH_PAUSE_MS)
  expect(network.opened('GoodJob::Lane') - opened).toBe(5)
  await world.sql('ALTER TABLE other_jobs RENAME TO good_jobs')
  expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
  expect(losses.seen).toHaveLength(1)
  losses.stop()
  expect(job.signal.aborted).toBe(false)
  const done = performed(id)
  gate.open()
  await done
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
})

test('a lane whose sessions end right after they took their locks back waits longer each time, too', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using network = await FaultyNetwork.start(world.url)
  await using _capsule = await world.start({ jobs: [GateJob], databaseUrl: network.url, pollInterval: -1 })
  const id = await enqueue(GateJob)
  await gate.entered
  const times: number[] = []
  // No pause before the first one; none of the sessions answered a claim.
  for (let round = 1; round <= 5; round++) {
    const restored = next('lane_restored')
    network.cut('GoodJob::Lane')
    await restored
    times.push(performance.now())
  }
  expect(lastGap(times)).toBeGreaterThanOrEqual(FOURTH_PAUSE_MS)
  const done = performed(id)
  gate.open()
  await done
})

test('after a silent outage no dead connection of the pool is waited for', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using network = await FaultyNetwork.start(world.url)
  const direct = new URL(network.url)
  direct.searchParams.set('query_timeout', '2000')
  const capsule = await world.start({
    jobs: [GateJob, EchoJob],
    databaseUrl: network.url,
    // The worker detects the loss of its sessions soon; a statement of the pool waits for a minute.
    directDatabaseUrl: direct.href,
    pollInterval: 0.2,
  })
  const id = await enqueue(GateJob)
  await gate.entered
  const since = performance.now()
  const restored = next('lane_restored')
  network.freeze()
  expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
  // One claim and what follows it: the query for the next scheduled times, and the claim of a second job.
  for (const _turn of [1, 2]) await performed(await enqueue(EchoJob))
  const done = performed(id)
  gate.open()
  await done
  expect(performance.now() - since).toBeLessThan(30_000)
  await capsule.shutdown()
})

test('after a silent outage a statement of the pool gets a live connection', async () => {
  await using wire = await Wire.start(world.url)
  const capsule = await world.start({
    jobs: [EchoJob],
    databaseUrl: wire.url(),
    directDatabaseUrl: wire.url({ query_timeout: '2000' }),
    enableListenNotify: false,
    pollInterval: 0.2,
  })
  await performed(await enqueue(EchoJob))
  const { pool } = capsule.adapter.database
  await Promise.all([1, 2, 3].map(() => pool.query('SELECT pg_sleep(0.1)')))
  const restored = next('lane_restored')
  wire.hold('both', { newOnes: false })
  await restored
  const since = performance.now()
  await pool.query('SELECT 1')
  // Without an answer it would wait for a minute.
  expect(performance.now() - since).toBeLessThan(20_000)
  await capsule.shutdown()
})

test('a lane takes its locks back while the pool has no connection to lend', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const pool = world.database.pool({ max: 1 })
  await using capsule = new Capsule({ pool, jobs: [GateJob], batchSweepInterval: 0, pollInterval: -1 })
  await capsule.start()
  const id = await enqueue(GateJob)
  await gate.entered
  const lent = await pool.connect()
  const restored = next('lane_restored')
  await terminate(world, 'GoodJob::Lane')
  expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
  lent.release()
  const done = performed(id)
  gate.open()
  await done
})

test('an outage that begins while a pool fetches scheduled times delays nothing once it is over', async () => {
  await using wire = await Wire.start(world.url)
  const capsule = await world.start({
    jobs: [EchoJob],
    databaseUrl: wire.url(),
    directDatabaseUrl: wire.url({ query_timeout: '2000' }),
    pollInterval: 0.5,
  })
  // From here on the pool gets no answers, and later the lane gets none either.
  wire.hold('toClient', { names: /Capsule/, newOnes: false })
  const restored = next('lane_restored')
  const first = performed(await enqueue(EchoJob))
  await first
  wire.hold('toClient', { names: /Lane/, newOnes: false })
  await restored
  const since = performance.now()
  await performed(await enqueue(EchoJob))
  expect(performance.now() - since).toBeLessThan(10_000)
  wire.release()
  await capsule.shutdown()
})
