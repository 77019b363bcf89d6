import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { enqueue, Gate, jobClass, next, openWorld, performed, record } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

/** Node emits this warning when it shortens a too long timer to 1 ms. */
let overflows: string[] = []
const note = ({ name, message }: Error): void => {
  if (name === 'TimeoutOverflowWarning') overflows.push(message)
}
beforeEach(() => {
  overflows = []
  process.on('warning', note)
})
afterEach(() => void process.off('warning', note))

const EchoJob = jobClass('EchoJob', () => undefined)
const DAY_SECONDS = 86_400
/** [name, seconds]; Node's timers end at 24.8 days. */
const LONG = [
  ['25 days', 25 * DAY_SECONDS],
  ['31 million years', 1e15],
] as const

test.each(LONG)('%s: every time option of this length means never, and none means at once', async (_name, seconds) => {
  const sweeps = record('batch_sweep')
  const errors = record('worker_error')
  const failed = record('claim_failed')
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const capsule = await world.start({
    jobs: [EchoJob, GateJob],
    pollInterval: seconds,
    batchSweepInterval: seconds,
    batchSweepWindow: seconds,
    batchSweepGrace: seconds,
    cleanupIntervalJobs: -1,
    cleanupIntervalSeconds: seconds,
    cleanupPreservedJobsBeforeSecondsAgo: seconds,
    connectTimeout: seconds,
    shutdownTimeout: seconds,
    idleTimeout: seconds,
  })
  const cleaned = next('cleanup_preserved_jobs')
  await performed(await enqueue(EchoJob))
  await cleaned
  const id = await enqueue(GateJob)
  await gate.entered
  // The next job begins after the loops have waited again.
  await performed(await enqueue(EchoJob))
  const stopped = capsule.shutdown()
  const done = performed(id)
  await new Promise(setImmediate)
  gate.open()
  await done
  await stopped
  expect((await world.job(id)).error).toBeNull()
  expect(sweeps.seen.length).toBeLessThanOrEqual(1)
  for (const { seen, stop } of [errors, failed]) {
    expect(seen).toEqual([])
    stop()
  }
  sweeps.stop()
  expect(overflows).toEqual([])
})

test.each(LONG)('%s: a deferred round ends only when its jobs end', async (_name, seconds) => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using _capsule = await world.start({ jobs: [GateJob], deferStart: seconds * 1000, shutdownTimeout: seconds })
  const id = await enqueue(GateJob)
  await gate.entered
  await new Promise((resolve) => setTimeout(resolve, 100))
  // No start is written: the round is open.
  expect((await world.job(id)).performed_at).toBeNull()
  const done = performed(id)
  gate.open()
  await done
  expect(overflows).toEqual([])
})

test('a worker waits for a job that is scheduled beyond the longest timer', async () => {
  await using _capsule = await world.start({ jobs: [EchoJob], pollInterval: -1 })
  const far = await enqueue(EchoJob, { wait: 40 * DAY_SECONDS })
  await performed(await enqueue(EchoJob))
  expect(await world.job(far)).toMatchObject({ performed_at: null })
  expect(overflows).toEqual([])
})
