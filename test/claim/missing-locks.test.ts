import { afterAll, beforeEach, expect, test } from 'vitest'
import { jobLockKey } from '../../src/sql/advisory-lock.ts'
import { systemClock } from '../../src/time.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed } from '../support/harness.ts'
import { RubyWorker } from '../support/ruby-worker.ts'
import { advisoryLocks, noLocks } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

/** From now on a trigger runs `what` in each session that starts a job of this class. */
const atStartOf = async (name: string, what: string): Promise<AsyncDisposable> => {
  await world.sql(`
    CREATE FUNCTION at_start() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${what}; RETURN NEW; END $$;
    CREATE TRIGGER at_start BEFORE UPDATE ON good_jobs FOR EACH ROW
      WHEN (NEW.job_class = '${name}' AND OLD.performed_at IS NULL AND NEW.performed_at IS NOT NULL) EXECUTE FUNCTION at_start()`)
  return {
    [Symbol.asyncDispose]: async () => {
      await world.sql('DROP TRIGGER at_start ON good_jobs; DROP FUNCTION at_start')
    },
  }
}

// As a pooler does that resets its sessions.
const TAKE_ALL_LOCKS = 'PERFORM pg_advisory_unlock_all()'
const WAYS = [{ deferStart: 0 }, { deferStart: 5 }]

test.each(WAYS)('a lane whose locks another program released reports that and retakes them, with %o', async (ways) => {
  const [gate, thiefGate] = [new Gate(), new Gate()]
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const ThiefJob = jobClass('ThiefJob', (job) => thiefGate.pass(job))
  await using capsule = await world.start({ jobs: [GateJob, ThiefJob], threads: 2, pollInterval: -1, ...ways })
  const id = await enqueue(GateJob)
  const job = await gate.entered
  await using _trigger = await atStartOf('ThiefJob', TAKE_ALL_LOCKS)
  const thief = await enqueue(ThiefJob)
  await thiefGate.entered
  const [missing, lost, restored] = [next('lane_lock_missing'), next('lane_lost'), next('lane_restored')]
  const ended = performed(thief)
  thiefGate.open()
  await ended
  expect(await missing).toEqual([{ processId: capsule.processId, missingLocks: 1, heldLocks: 1 }])
  expect(String((await lost)[0]?.error)).toMatch(/advisory locks of this session were missing/)
  expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
  expect(await advisoryLocks(world)).toEqual([jobLockKey(id)])
  expect(job.signal.aborted).toBe(false)
  const done = performed(id)
  gate.open()
  await done
  await noLocks(world)
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
})

test('a job that another worker took while its lock was missing gets its signal aborted', async () => {
  const [gate, thiefGate, elsewhere] = [new Gate(), new Gate(), new Gate()]
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const ThiefJob = jobClass('ThiefJob', (job) => thiefGate.pass(job))
  // No attempt gets old enough for the attempt watch, which could otherwise abort it first.
  const clock = { ...systemClock, monotonic: () => 0 }
  await using _capsule = await world.start({ jobs: [GateJob, ThiefJob], threads: 2, pollInterval: -1, clock })
  const id = await enqueue(GateJob)
  const job = await gate.entered
  await using _trigger = await atStartOf('ThiefJob', TAKE_ALL_LOCKS)
  const thief = await enqueue(ThiefJob)
  await thiefGate.entered
  const ruby = await RubyWorker.connect(world, 'advisory')
  const other = ruby.runAll(async (claimed) => {
    if (claimed === id) await elsewhere.pass(job)
  })
  await elsewhere.entered
  const restored = next('lane_restored')
  const ended = performed(thief)
  thiefGate.open()
  await ended
  expect((await restored)[0]).toMatchObject({ lostLocks: 1 })
  expect(job.signal.aborted).toBe(true)
  const dropped = next('outcome_lost')
  gate.open()
  await dropped
  elsewhere.open()
  await other
})

test('a worker that shuts down checks its locks, too', async () => {
  const [gate, thiefGate] = [new Gate(), new Gate()]
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const ThiefJob = jobClass('ThiefJob', (job) => thiefGate.pass(job))
  const capsule = await world.start({ jobs: [GateJob, ThiefJob], threads: 2, pollInterval: -1 })
  const id = await enqueue(GateJob)
  await gate.entered
  await using _trigger = await atStartOf('ThiefJob', TAKE_ALL_LOCKS)
  await enqueue(ThiefJob)
  await thiefGate.entered
  const restored = next('lane_restored')
  // No claim follows that could carry the release.
  const stopped = capsule.shutdown()
  thiefGate.open()
  expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
  expect(await advisoryLocks(world)).toEqual([jobLockKey(id)])
  gate.open()
  await stopped
})
