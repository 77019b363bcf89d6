import { afterAll, describe, expect, test } from 'vitest'
import { jobLockKey } from '../../src/sql/advisory-lock.ts'
import type { Capsule } from '../../src/worker/capsule.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'
import { RubyWorker } from '../support/ruby-worker.ts'
import { advisoryLocks } from '../support/sessions.ts'
import { type Direction, Wire } from '../support/wire.ts'

const world = await openWorld()
afterAll(() => world.close())

/** Set PARTITION_SECONDS=60 manually for a partition longer than every default timeout. */
const LONG_SECONDS = Number(process.env.PARTITION_SECONDS ?? 4)
/** Short statement timeouts, for tests of what follows them; a worker's default timeouts are 10 to 60 s. */
const IMPATIENT: Record<string, string> = process.env.PARTITION_SECONDS === undefined ? { query_timeout: '1000' } : {}
const SHORT_SECONDS = 5
const TIMEOUT_MS = (LONG_SECONDS + 60) * 1000

const DIRECTIONS: readonly Direction[] = ['toServer', 'toClient', 'both']
const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

/** A worker behind a proxy with a running job; the tests of this file share the database, so each has its own queue. */
const scene = async (queue: string, parameters: Record<string, string> = {}) => {
  const wire = await Wire.start(world.url)
  const [gate, otherGate] = [new Gate(), new Gate()]
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const OtherJob = jobClass('OtherJob', (job) => otherGate.pass(job))
  const EchoJob = jobClass('EchoJob', () => undefined)
  const capsule = await world.start({
    jobs: [GateJob, OtherJob, EchoJob],
    databaseUrl: wire.url(parameters),
    queues: `${queue},more ${queue}`,
    pollInterval: 0.5,
  })
  const id = await enqueue(GateJob, { queue })
  const job = await gate.entered
  const other = { gate: otherGate, id: await enqueue(OtherJob, { queue }), job: await otherGate.entered }
  const echo = () => enqueue(EchoJob, { queue: `more ${queue}` })
  return { wire, gate, capsule, id, job, echo, other }
}
const ofCapsule =
  ({ processId }: Capsule) =>
  (payload: { readonly processId: string }): boolean =>
    payload.processId === processId

describe.concurrent('a network that forwards nothing', () => {
  test.each(DIRECTIONS)(
    '%s for five seconds costs no lock and no attempt, and starts no second attempt',
    async (direction) => {
      const { wire, gate, capsule, id, job, echo, other } = await scene(`short ${direction}`)
      const losses = record('lane_lost')
      wire.hold(direction)
      const waiting = [await echo(), await echo()]
      await pause(SHORT_SECONDS / 2)
      gate.open()
      await pause(SHORT_SECONDS / 2)
      expect(await advisoryLocks(world)).toContain(jobLockKey(id))
      expect((await world.job(id)).finished_at === null).toBe(direction !== 'toClient')
      const done = performed(id, ...waiting)
      wire.release()
      await done
      losses.stop()
      expect(losses.seen.filter(ofCapsule(capsule))).toEqual([])
      expect(job.signal.aborted).toBe(false)
      for (const each of [id, ...waiting])
        expect(await world.job(each)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
      other.gate.open()
      await capsule.shutdown()
      await wire[Symbol.asyncDispose]()
    },
  )

  test.each(DIRECTIONS)(
    '%s until every statement has timed out ends the lane session, but running jobs keep their locks and outcomes [GJ-042]',
    async (direction) => {
      const { wire, gate, capsule, id, echo, other } = await scene(`long ${direction}`, IMPATIENT)
      const [lost, restored] = [next('lane_lost', 1, ofCapsule(capsule)), next('lane_restored', 1, ofCapsule(capsule))]
      wire.hold(direction)
      const waiting = [await echo(), await echo()]
      const ruby = await RubyWorker.connect(world, 'advisory', `long ${direction}`)
      await lost
      gate.open()
      await pause(LONG_SECONDS)
      // The server keeps a silent session and its locks: no other worker takes the job.
      expect(await advisoryLocks(world)).toEqual(expect.arrayContaining([jobLockKey(id), jobLockKey(other.id)]))
      expect(await ruby.claim()).toBeUndefined()
      const done = performed(...waiting, other.id)
      wire.release()
      await restored
      expect(other.job.signal.aborted).toBe(false)
      other.gate.open()
      await done
      await until(async () => (await world.job(id)).finished_at !== null, 'the outcome of the wait is written')
      for (const each of [id, other.id])
        expect(await world.job(each)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
      for (const each of waiting) expect(await world.job(each)).toMatchObject({ error: null, locked_by_id: null })
      await until(async () => (await openExecutions(id, ...waiting)) === 0, 'no attempt is open')
      await capsule.shutdown()
      await wire[Symbol.asyncDispose]()
    },
    TIMEOUT_MS,
  )

  test.each(DIRECTIONS)(
    '%s on the old connections for ever makes the worker open new ones, which keep locks and outcomes [GJ-042]',
    async (direction) => {
      const { wire, gate, capsule, id, job, echo, other } = await scene(`ever ${direction}`, IMPATIENT)
      const restored = next('lane_restored', 1, ofCapsule(capsule))
      wire.hold(direction, { newOnes: false })
      const waiting = await echo()
      const done = performed(id, waiting)
      expect((await restored)[0]).toMatchObject({ keptLocks: 2, lostLocks: 0 })
      expect(job.signal.aborted).toBe(false)
      gate.open()
      other.gate.open()
      await done
      expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
      await capsule.shutdown()
      expect(await world.sql('SELECT FROM good_job_processes WHERE id = $1', [capsule.processId])).toEqual([])
      await wire[Symbol.asyncDispose]()
    },
    TIMEOUT_MS,
  )
})

const openExecutions = async (...ids: string[]): Promise<number> =>
  (await world.sql('SELECT FROM good_job_executions WHERE active_job_id = ANY ($1) AND finished_at IS NULL', [ids]))
    .length
