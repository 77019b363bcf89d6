import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { jobLockKey } from '../../src/sql/advisory-lock.ts'
import { pgConnection } from '../../src/sql/connection/pg-connection.ts'
import { Session } from '../../src/sql/connection/session.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'
import { sendMessage } from '../support/messages.ts'
import { RubyWorker } from '../support/ruby-worker.ts'
import { advisoryLocks, backends, noLocks } from '../support/sessions.ts'
import { Wire } from '../support/wire.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

const EchoJob = jobClass('EchoJob', () => undefined)
const terminate = async (name: string): Promise<void> => {
  const pids = (await backends(world, name)).map(({ pid }) => pid)
  expect(pids.length).toBeGreaterThan(0)
  await world.sql('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [pids])
  await until(async () => !(await backends(world, name)).some(({ pid }) => pids.includes(pid)), `${name} is gone`)
}

test.each(['GoodJob::Lane', 'GoodJob::Completer', 'GoodJob::Capsule', 'GoodJob::Notifier'])(
  'the end of the session %s costs no lock of a running job, and new jobs start, with LISTEN alone [GJ-042]',
  async (name) => {
    const gate = new Gate()
    const GateJob = jobClass('GateJob', (job) => gate.pass(job))
    const restored = next('lane_restored')
    const listening = next('notifier_listen', 2)
    await using _capsule = await world.start({ jobs: [GateJob, EchoJob], pollInterval: -1 })
    const id = await enqueue(GateJob)
    const job = await gate.entered
    await terminate(name)
    if (name === 'GoodJob::Notifier') await listening
    if (name === 'GoodJob::Lane') expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
    expect(await advisoryLocks(world)).toEqual([jobLockKey(id)])
    expect(job.signal.aborted).toBe(false)
    await performed(await enqueue(EchoJob))
    const done = performed(id)
    gate.open()
    await done
    expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
    await noLocks(world)
  },
)

test('after an unnoticed end of the session Ruby runs the job again, and the outcome of the first run is dropped [GJ-042]', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using wire = await Wire.start(world.url)
  const capsule = await world.start({ jobs: [GateJob], databaseUrl: wire.url(), pollInterval: -1 })
  const id = await enqueue(GateJob)
  await gate.entered
  const losses = record('lane_lost')
  wire.hold('both', { names: /Lane/, newOnes: false })
  await terminate('GoodJob::Lane')
  const ruby = await RubyWorker.connect(world, 'advisory')
  const running = new Gate()
  const other = ruby.runAll((claimed) => running.pass({ jobId: claimed } as never))
  expect((await running.entered).jobId).toBe(id)
  expect(ruby.interrupted).toEqual([id])
  // Both attempts run. This one ends first, and the worker does not know of the loss yet.
  expect(losses.seen).toEqual([])
  const dropped = next('outcome_lost')
  gate.open()
  expect((await dropped)[0]).toMatchObject({ jobId: id, reason: 'the job no longer belonged to this process' })
  expect(await world.job(id)).toMatchObject({ finished_at: null, locked_by_id: ruby.processId })
  running.open()
  await other
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 2 })
  expect((await world.executions(id)).map(({ process_id }) => process_id)).toEqual([capsule.processId, ruby.processId])
  losses.stop()
  // Without a limit the shutdown would wait for the claim that gets no answer.
  await capsule.shutdown({ timeout: 0 })
})

test('the unnoticed end of a session is detected within twenty seconds, and the lane takes its locks back', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using wire = await Wire.start(world.url)
  // One thread, which is busy: no claim detects the loss.
  const capsule = await world.start({ jobs: [GateJob], databaseUrl: wire.url(), threads: 1, pollInterval: -1 })
  const id = await enqueue(GateJob)
  const job = await gate.entered
  const restored = next('lane_restored')
  wire.hold('both', { names: /Lane/, newOnes: false })
  await terminate('GoodJob::Lane')
  const since = performance.now()
  expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
  expect(performance.now() - since).toBeLessThan(25_000)
  expect(job.signal.aborted).toBe(false)
  const done = performed(id)
  gate.open()
  await done
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
  await capsule.shutdown()
})

test.each(['statement', 'answer'] as const)(
  'a TCP reset in the middle of the %s of a flush: each outcome is written once [GJ-089]',
  async (within) => {
    await using wire = await Wire.start(world.url)
    const capsule = await world.start({ jobs: [EchoJob], databaseUrl: wire.url(), threads: 20 })
    await performed(await enqueue(EchoJob))
    const torn = wire.tear('GoodJob::Completer', /finish_jobs/, within)
    const failed = next('outcome_write_failed')
    const done = next('perform_job', 20)
    await world.adapter.enqueueAll(Array.from({ length: 20 }, () => new EchoJob()))
    await Promise.all([torn, failed, done])
    const rows = await world.sql('SELECT error, executions_count FROM good_jobs WHERE finished_at IS NOT NULL')
    expect(rows).toEqual(Array.from({ length: 21 }, () => ({ error: null, executions_count: 1 })))
    expect(await world.sql('SELECT FROM good_job_executions WHERE finished_at IS NOT NULL')).toHaveLength(21)
    await capsule.shutdown()
  },
)

test.each(['statement', 'answer'] as const)(
  'a TCP reset in the middle of the %s of a claim: each job succeeds, and no lock and no attempt stays open [GJ-042]',
  async (within) => {
    await using wire = await Wire.start(world.url)
    const capsule = await world.start({ jobs: [EchoJob], databaseUrl: wire.url(), threads: 20 })
    await performed(await enqueue(EchoJob))
    const torn = wire.tear('GoodJob::Lane', /claim_/, within)
    const done = next('perform_job', 20)
    await world.adapter.enqueueAll(Array.from({ length: 20 }, () => new EchoJob()))
    await Promise.all([torn, done])
    expect(await world.sql('SELECT FROM good_jobs WHERE finished_at IS NOT NULL AND error IS NULL')).toHaveLength(21)
    expect(await world.sql('SELECT FROM good_job_executions WHERE finished_at IS NULL')).toEqual([])
    await noLocks(world)
    await capsule.shutdown()
  },
)

test('a claim that is cancelled half-way keeps no advisory lock of jobs that it did not start [GJ-040]', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using capsule = await world.start({ jobs: [GateJob, EchoJob] })
  const running = await enqueue(GateJob)
  await gate.entered
  // A trigger waits for a lock that no claim can know of.
  const id = randomUUID()
  await world.sql('CREATE TABLE accounts AS SELECT 1 AS id')
  await world.sql(`CREATE FUNCTION touch_account() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM FROM accounts FOR UPDATE; RETURN NEW; END $$`)
  await world.sql(`CREATE TRIGGER touch_account BEFORE UPDATE ON good_jobs FOR EACH ROW
    WHEN (OLD.id = '${id}') EXECUTE FUNCTION touch_account()`)
  const holder = await world.database.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT FROM accounts FOR UPDATE')
  await world.insert({ id })
  await sendMessage(world.pool, '{}')
  const isWaiting = async () => (await advisoryLocks(world)).includes(jobLockKey(id))
  await until(isWaiting, 'the claim has the advisory lock and waits for the trigger')
  const failed = next('claim_failed')
  await world.sql('SELECT pg_cancel_backend(pid) FROM unnest($1::int[]) AS pid', [
    (await backends(world, 'GoodJob::Lane')).map(({ pid }) => pid),
  ])
  expect(String((await failed)[0]?.error)).toMatch(/canceling statement/)
  const done = performed(id)
  await holder.query('COMMIT')
  await holder.end()
  await done
  await until(async () => !(await advisoryLocks(world)).includes(jobLockKey(id)), 'its lock is gone')
  expect(await advisoryLocks(world)).toEqual([jobLockKey(running)])
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
  await world.sql('DROP FUNCTION touch_account CASCADE')
  await world.sql('DROP TABLE accounts')
  gate.open()
  await capsule.shutdown()
})

test('an answer that arrived while the event loop was blocked does not count as missing', async () => {
  const session = new Session({
    config: { connectionString: world.url, query_timeout: 300 },
    createConnection: pgConnection,
    settings: {},
  })
  await session.connect()
  const answer = session.query({ text: 'SELECT 1 AS one' })
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_200)
  expect((await answer).rows).toEqual([{ one: 1 }])
  await expect(session.query({ text: 'SELECT pg_sleep(5)' })).rejects.toMatchObject({ code: 'ETIMEDOUT' })
  await session.close()
})

test('the server ends the sessions of a lost host after five minutes, unless a DBA has configured TCP keepalives', async () => {
  const config = { connectionString: world.url }
  const settingsOf = async (session: Session) => {
    await session.connect()
    const { rows } = await session.query({
      text: `SELECT name, setting FROM pg_settings WHERE name LIKE 'tcp_keepalives%' ORDER BY name`,
    })
    await session.close()
    return rows.map(({ setting }) => Number(setting))
  }
  const [count = 0, idle = 0, interval = 0] = await settingsOf(
    new Session({ config, createConnection: pgConnection, settings: {} }),
  )
  expect(idle + count * interval).toBe(300)
  const configured = { ...config, options: '-c tcp_keepalives_idle=7' }
  expect(await settingsOf(new Session({ config: configured, createConnection: pgConnection, settings: {} }))).toEqual([
    count,
    7,
    interval,
  ])
})

test('a lane that waits for a table lock cancels the claim and keeps its session with the locks of running jobs [GJ-042]', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const losses = record('lane_lost')
  await using capsule = await world.start({ jobs: [GateJob, EchoJob], pollInterval: 60 })
  const running = await enqueue(GateJob)
  await gate.entered
  // With the second job the pool has fetched the scheduled times: its next query is the claim.
  for (const _turn of [1, 2]) await performed(await enqueue(EchoJob))
  const id = await world.insert()
  const holder = await world.database.connect()
  await holder.query('BEGIN')
  await holder.query('LOCK TABLE good_jobs IN ACCESS EXCLUSIVE MODE')
  const failed = next('claim_failed')
  await sendMessage(world.pool, '{}')
  expect(String((await failed)[0]?.error)).toMatch(/statement timeout/)
  expect(await advisoryLocks(world)).toContain(jobLockKey(running))
  expect(losses.seen).toEqual([])
  const done = performed(id, running)
  await holder.query('COMMIT')
  await holder.end()
  gate.open()
  await done
  losses.stop()
  await capsule.shutdown()
})
