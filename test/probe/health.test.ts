import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { events } from '../../src/events.ts'
import { Capsule } from '../../src/worker/capsule.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, until } from '../support/harness.ts'

const world = await openWorld()
const { database, sql } = world
afterAll(() => world.close())
afterEach(() => repairClaims())

const EchoJob = jobClass('EchoJob', () => undefined)
const ECHO = { jobs: [EchoJob] }

const answers = ({ health }: Capsule) => [health.started(), health.connected(), health.ready(), health.whyNotReady?.()]
const FINE = [true, true, true, undefined]

/** What the health is after another minute in which nothing changes. A claim that is under way counts as one that takes a minute. */
const aMinuteLater = <T>(read: () => T): T => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000)
  try {
    return read()
  } finally {
    now.mockRestore()
  }
}

/** Another session that holds a lock, until `release` or the end of the test. */
const lock = async (statement: string, values: unknown[] = []) => {
  const client = await database.pool().connect()
  await client.query('BEGIN')
  await client.query(statement, values)
  let isHeld = true
  const release = async () => {
    if (!isHeld) return
    isHeld = false
    await client.query('COMMIT')
    client.release()
  }
  return { release, [Symbol.asyncDispose]: release }
}

/** Makes every claim that finds a job fail. */
const breakClaims = () =>
  sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
       CREATE TRIGGER refuse BEFORE INSERT ON good_job_executions FOR EACH ROW EXECUTE FUNCTION refuse()`)
const repairClaims = () => sql('DROP FUNCTION IF EXISTS refuse CASCADE')

/** Ends the server process of a connection, and with it the connection. */
const terminate = (application: string) =>
  sql(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE $1',
    [application],
  )

test('a worker is started, connected and ready from its start until its shutdown begins', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const capsule = new Capsule({ databaseUrl: world.url, jobs: [GateJob], batchSweepInterval: 0 })
  expect(answers(capsule)).toEqual([false, false, false, 'the worker has not been started'])
  const starting = capsule.start()
  expect(answers(capsule)).toEqual([false, false, false, 'the worker is starting'])
  await starting
  const id = await enqueue(GateJob)
  await gate.entered
  expect(answers(capsule)).toEqual(FINE)
  const stopping = capsule.shutdown()
  // A job is still running. GoodJob's scheduler is not `running?` either from here on.
  expect(answers(capsule)).toEqual([false, false, false, 'the worker is shutting down'])
  gate.open()
  await performed(id)
  await stopping
  expect(answers(capsule)).toEqual([false, false, false, 'the worker was shut down'])
})

test('without LISTEN a worker is connected, as in GoodJob', async () => {
  await using capsule = await world.start({ ...ECHO, enableListenNotify: false })
  await performed(await enqueue(EchoJob))
  expect(answers(capsule)).toEqual(FINE)
})

test('a worker is not ready before its first claim has succeeded', async () => {
  await breakClaims()
  const id = await enqueue(EchoJob)
  const failed = next('claim_failed')
  await using capsule = await world.start(ECHO)
  await failed
  expect(answers(capsule)).toEqual([true, true, false, 'no claim of the pool * has succeeded yet'])
  await repairClaims()
  await performed(id)
  expect(answers(capsule)).toEqual(FINE)
})

test('a worker whose claims fail for a minute is not ready', async () => {
  await using capsule = await world.start(ECHO)
  await performed(await enqueue(EchoJob))
  await until(async () => aMinuteLater(() => capsule.health.ready()), 'ready')
  await breakClaims()
  const failed = next('claim_failed', 2)
  const id = await enqueue(EchoJob)
  await failed
  expect(answers(capsule)).toEqual(FINE)
  expect(aMinuteLater(() => answers(capsule))).toEqual([
    true,
    true,
    false,
    expect.stringMatching(/^no claim of the pool \* has succeeded for 6\d s$/),
  ])
  await repairClaims()
  await performed(id)
  await until(async () => aMinuteLater(() => capsule.health.ready()), 'ready')
})

test('a worker whose outcome waits for a minute is not ready', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using capsule = await world.start({ jobs: [GateJob] })
  const id = await enqueue(GateJob)
  await gate.entered
  await using held = await lock('SELECT FROM good_jobs WHERE id = $1 FOR UPDATE', [id])
  const waits = next('outcome_held')
  // A job that runs for long is no outcome that waits.
  await until(async () => aMinuteLater(() => capsule.health.ready()), 'ready')
  gate.open()
  await waits
  expect(answers(capsule)).toEqual(FINE)
  expect(aMinuteLater(() => answers(capsule))).toEqual([
    true,
    true,
    false,
    expect.stringMatching(/^an outcome has been waiting for 6\d s to be written$/),
  ])
  await held.release()
  await performed(id)
  await until(async () => aMinuteLater(() => capsule.health.ready()), 'ready')
})

test('a worker without its connection for claims is not ready, until it has another one', async () => {
  await using capsule = await world.start(ECHO)
  await performed(await enqueue(EchoJob))
  const restored = next('lane_restored')
  const atLoss = events.once('lane_lost').then(() => answers(capsule))
  await terminate('GoodJob::Lane%')
  expect(await atLoss).toEqual([true, true, false, 'the connection that claims jobs is lost'])
  await restored
  expect(answers(capsule)).toEqual(FINE)
})

test('a worker stays connected until LISTEN has failed six times in a row, as in GoodJob', async () => {
  await using network = await FaultyNetwork.start(world.url)
  await using capsule = await world.start({ ...ECHO, databaseUrl: network.url, pollInterval: 0 })
  await performed(await enqueue(EchoJob))
  const at = (failures: number) =>
    next('notifier_listen_failed', 1, ({ attempt }) => attempt === failures).then(() => answers(capsule))
  const fifth = at(5)
  const sixth = at(6)
  network.refuse()
  network.cut('GoodJob::Notifier')
  expect(await fifth).toEqual(FINE)
  expect(await sixth).toEqual([true, false, false, 'the connection that listens is lost, and polls are off'])
  const listens = next('notifier_listen')
  await network.accept()
  await listens
  expect(answers(capsule)).toEqual(FINE)
})
