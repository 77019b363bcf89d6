import { afterAll, expect, test } from 'vitest'
import { FaultyNetwork } from '../support/faults.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, record, terminate } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const EchoJob = jobClass('EchoJob', () => undefined)
const ofLane = ({ part }: { readonly part: string }): boolean => part === 'lane'

test('a lane that connects but cannot take its locks back waits longer each time, says so, and keeps its jobs', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using network = await FaultyNetwork.start(world.url)
  await using _capsule = await world.start({ jobs: [GateJob], databaseUrl: network.url, pollInterval: -1 })
  const id = await enqueue(GateJob)
  const job = await gate.entered
  const losses = record('lane_lost')
  const opened = network.opened('GoodJob::Lane')
  const since = performance.now()
  // As while somebody restores a table.
  await world.sql('ALTER TABLE good_jobs RENAME TO other_jobs')
  const retries = next('connection_retry', 4, ofLane)
  const restored = next('lane_restored')
  await terminate(world, 'GoodJob::Lane')
  expect((await retries).map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4])
  // 100, 200 and 400 ms.
  expect(performance.now() - since).toBeGreaterThan(700)
  expect(network.opened('GoodJob::Lane') - opened).toBe(4)
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

test('a lane whose sessions end as soon as they have their locks back waits longer each time, too', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using network = await FaultyNetwork.start(world.url)
  await using _capsule = await world.start({ jobs: [GateJob], databaseUrl: network.url, pollInterval: -1 })
  const id = await enqueue(GateJob)
  await gate.entered
  const since = performance.now()
  for (let round = 1; round <= 4; round++) {
    const restored = next('lane_restored')
    network.cut('GoodJob::Lane')
    await restored
  }
  // Nothing before the first, then 100, 200 and 400 ms: none of them has answered a claim.
  expect(performance.now() - since).toBeGreaterThan(700)
  const done = performed(id)
  gate.open()
  await done
})

test('after an outage that nobody announced, no connection of the pool that died in it is waited for', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using network = await FaultyNetwork.start(world.url)
  const direct = new URL(network.url)
  direct.searchParams.set('query_timeout', '500')
  const capsule = await world.start({
    jobs: [GateJob, EchoJob],
    databaseUrl: network.url,
    // Its sessions are found out soon; a statement of the pool waits for a minute.
    directDatabaseUrl: direct.href,
    pollInterval: 0.2,
  })
  const id = await enqueue(GateJob)
  await gate.entered
  const since = performance.now()
  const restored = next('lane_restored')
  network.freeze()
  expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
  // One claim, and then what comes after it: the look ahead, and the claim of a second job.
  for (const _turn of [1, 2]) await performed(await enqueue(EchoJob))
  const done = performed(id)
  gate.open()
  await done
  expect(performance.now() - since).toBeLessThan(30_000)
  await capsule.shutdown()
})
