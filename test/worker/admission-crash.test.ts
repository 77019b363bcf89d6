import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { CrashProxy } from '../support/crash-proxy.ts'
import { openWorld, until, type World } from '../support/harness.ts'

const LIMIT = 1
const JOBS = 3
const INTERRUPTED = 0
const SUCCESS = null

/** The most jobs of the scope that ran at a time in this process. */
const running = { now: 0, most: 0 }

/** The same class as in fixtures/crash-worker.mjs. */
class LimitedCrashJob extends Job<[number: number]> {
  static {
    LimitedCrashJob.controlConcurrencyWith({ key: 'crash', performLimit: LIMIT })
  }

  async perform(_number: number): Promise<void> {
    running.now += 1
    running.most = Math.max(running.most, running.now)
    await new Promise(setImmediate)
    running.now -= 1
  }
}

const LANE = /^GoodJob::Lane$/

/** The messages of an admission. A job of it has started when the second is executed. */
const MESSAGES = {
  'the message that locks the scopes and counts': /pg_advisory_xact_lock/,
  'the message that starts the job and commits': /COMMIT(?!TED)/,
} as const

const GATE = 1_450
/** GoodJob advisory_lockable.rb: the key of the lock of a scope whose concurrency key is 'crash'. */
const SCOPE_LOCK = `('x' || substr(md5('crash'), 1, 16))::bit(64)::bigint`

const GATE_FUNCTION = `
CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(${GATE});
  RETURN NEW;
END
$$`
const STARTS = 'OLD.performed_at IS NULL AND NEW.performed_at IS NOT NULL'

interface Point {
  readonly name: string
  /** The key of the advisory lock at which the admission waits. @default of the gate */
  readonly key?: string
  /** Lets the statement wait at the gate. */
  readonly trigger?: string
}

const SCOPE: Point = { name: 'the lock of the scope', key: SCOPE_LOCK }

const POINTS: readonly Point[] = [
  {
    name: 'the update of the job',
    trigger: `CREATE TRIGGER gate BEFORE UPDATE ON good_jobs FOR EACH ROW WHEN (${STARTS}) EXECUTE FUNCTION pass_gate()`,
  },
  {
    name: 'the insert of its execution',
    trigger: 'CREATE TRIGGER gate BEFORE INSERT ON good_job_executions FOR EACH ROW EXECUTE FUNCTION pass_gate()',
  },
  {
    name: 'the insert of its claim',
    trigger:
      'CREATE TRIGGER gate BEFORE INSERT ON good_job_concurrency_claims FOR EACH ROW EXECUTE FUNCTION pass_gate()',
  },
  {
    name: 'the commit',
    trigger: `CREATE CONSTRAINT TRIGGER gate AFTER UPDATE ON good_jobs DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (${STARTS}) EXECUTE FUNCTION pass_gate()`,
  },
]

const IN_THIS_DATABASE = `database = (SELECT oid FROM pg_database WHERE datname = current_database())`
const WAITING = `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND ${IN_THIS_DATABASE}`
const LOCKS = `SELECT * FROM pg_locks WHERE locktype = 'advisory' AND ${IN_THIS_DATABASE}`

const worlds: World[] = []
let world: World
beforeEach(async () => {
  world = await openWorld()
  worlds.push(world)
  Object.assign(running, { now: 0, most: 0 })
})
afterAll(() => Promise.all(worlds.map((each) => each.close())))

const startWorker = (databaseUrl: string): ChildProcess =>
  spawn(process.execPath, [new URL('../fixtures/crash-worker.mjs', import.meta.url).pathname], {
    env: { ...process.env, WORKER_OPTIONS: JSON.stringify({ databaseUrl, batchSweepInterval: 0 }) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })

/** Kills a worker before or after a statement. */
const crashAround = async (statement: RegExp, when: 'before' | 'after'): Promise<void> => {
  await using proxy = await CrashProxy.start(world.url, { session: LANE, statement, when })
  const worker = startWorker(proxy.url)
  proxy.onCrash(() => worker.kill('SIGKILL'))
  const [, signal] = await once(worker, 'exit')
  expect(signal).toBe('SIGKILL')
}

/** Kills a worker while its admission waits at the point, and lets the server go on alone; resolves when the session is gone. */
const crashWithin = async ({ key = String(GATE), trigger }: Point, endsSession = false): Promise<void> => {
  const gate = await world.pool.connect()
  await gate.query(`SELECT pg_advisory_lock(${key})`)
  if (trigger !== undefined) for (const statement of [GATE_FUNCTION, trigger]) await gate.query(statement)
  const worker = startWorker(world.url)
  const exited = once(worker, 'exit')
  await until(async () => (await world.sql(WAITING)).length > 0, 'the admission waits')
  const [{ pid } = { pid: 0 }] = await world.sql<{ pid: number }>(WAITING)
  worker.kill('SIGKILL')
  await exited
  if (endsSession) await world.sql('SELECT pg_terminate_backend($1)', [pid])
  await gate.query(`SELECT pg_advisory_unlock(${key})`)
  gate.release()
  const session = 'SELECT FROM pg_stat_activity WHERE pid = $1'
  await until(async () => (await world.sql(session, [pid])).length === 0, 'the session is gone')
  if (trigger !== undefined) await world.sql('DROP FUNCTION pass_gate() CASCADE')
}

/** Jobs of one scope whose worker crashes; resolves with the events of their executions, when another worker has run them. */
const eventsAfter = async (crash: () => Promise<void>): Promise<unknown[][]> => {
  const jobs = Array.from({ length: JOBS }, (_, number) => new LimitedCrashJob(number))
  await world.adapter.enqueueAll(jobs)
  await crash()
  // Five minutes later the heartbeat of the process has expired.
  await world.sql(`UPDATE good_job_processes SET updated_at = updated_at - interval '10 minutes'`)
  const capsule = await world.start({ jobs: [LimitedCrashJob] })
  const open = 'SELECT FROM good_jobs WHERE finished_at IS NULL'
  await until(async () => (await world.sql(open)).length === 0, 'every job has ended')
  await capsule.shutdown()
  expect(running.most).toBe(LIMIT)
  expect(await world.sql('SELECT * FROM good_job_concurrency_claims')).toEqual([])
  await until(async () => (await world.sql(LOCKS)).length === 0, 'no lock is left')
  const executions = await Promise.all(jobs.map(({ jobId }) => world.executions(jobId)))
  return executions.map((each) => each.map(({ error_event }) => error_event))
}

const NONE_STARTED = Array.from({ length: JOBS }, () => [SUCCESS])
const FIRST_STARTED = [[INTERRUPTED, SUCCESS], ...NONE_STARTED.slice(1)]

describe('kill -9 around a message of an admission: no job is lost, no lock is left, and the limit holds', () => {
  for (const [name, message] of Object.entries(MESSAGES)) {
    test(`before ${name}`, async () => {
      expect(await eventsAfter(() => crashAround(message, 'before'))).toEqual(NONE_STARTED)
    })
    test(`after ${name}`, async () => {
      const expected =
        message === MESSAGES['the message that starts the job and commits'] ? FIRST_STARTED : NONE_STARTED
      expect(await eventsAfter(() => crashAround(message, 'after'))).toEqual(expected)
    })
  }
})

describe('kill -9 while the server executes an admission: no job is lost, no lock is left, and the limit holds', () => {
  test(`at ${SCOPE.name}, after which the server notices that the worker is gone`, async () => {
    expect(await eventsAfter(() => crashWithin(SCOPE))).toEqual(NONE_STARTED)
  })

  for (const point of POINTS) {
    test(`at ${point.name}, after which the server goes on to the commit`, async () => {
      expect(await eventsAfter(() => crashWithin(point))).toEqual(FIRST_STARTED)
    })
    test(`at ${point.name}, and the session ends, too`, async () => {
      expect(await eventsAfter(() => crashWithin(point, true))).toEqual(NONE_STARTED)
    })
  }
})
