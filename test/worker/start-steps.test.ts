import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Pool } from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { ConnectionTimeoutError } from '../../src/errors.ts'
import { Capsule } from '../../src/worker/capsule.ts'
import { deafServer, endingServer, refusingPooler, silentServer } from '../support/bad-servers.ts'
import { Cli } from '../support/cli.ts'
import { enqueue, jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'
import { Wire } from '../support/wire.ts'

const MODULE = join(import.meta.dirname, '../fixtures/jobs/timed-jobs.mjs')
const world = await openWorld()
afterAll(() => world.close())

const EchoJob = jobClass('EchoJob', () => undefined)
/** The time that a start may take beyond its connect timeout; more than twice the promise, for a busy machine. */
const LATE_MS = 3_500
const processes = () => world.sql('SELECT id FROM good_job_processes')
const took = async (work: Promise<unknown>): Promise<number> => {
  const since = performance.now()
  await work
  return performance.now() - since
}

describe('LISTEN is a hint', () => {
  /** A role that may open `limit` connections. */
  const limitedUser = async (limit: number) => {
    const role = `limited_${randomBytes(4).toString('hex')}`
    await world.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'x' CONNECTION LIMIT ${limit}`)
    await world.sql(`GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role}`)
    const url = new URL(world.url)
    url.username = role
    url.password = 'x'
    return {
      url: url.href,
      allow: (more: number) => world.sql(`ALTER ROLE ${role} CONNECTION LIMIT ${more}`),
      [Symbol.asyncDispose]: async () => {
        const sessions = () => world.sql('SELECT FROM pg_stat_activity WHERE usename = $1', [role])
        await until(async () => (await sessions()).length === 0, 'every connection is closed')
        await world.sql(`DROP OWNED BY ${role}`)
        await world.sql(`DROP ROLE ${role}`)
      },
    }
  }
  const BY_POLLS = { jobs: [EchoJob], poolSize: 1, pollInterval: 0.2, connectTimeout: 3 }

  test('a worker without a connection for LISTEN starts, emits notifier_listen_failed, polls, and listens once a connection is free', async () => {
    await using user = await limitedUser(3)
    const failed = next('notifier_listen_failed')
    const capsule = await world.start({ databaseUrl: user.url, ...BY_POLLS })
    expect((await failed)[0]).toMatchObject({ error: { code: '53300' }, attempt: 1 })
    expect(capsule.isListening).toBe(false)
    await performed(await enqueue(EchoJob))
    const listening = next('notifier_listen')
    await user.allow(-1)
    await listening
    expect(capsule.isListening).toBe(true)
    await capsule.shutdown({ timeout: 0 })
    expect(await processes()).toEqual([])
  })

  test('a worker that still tries to listen shuts down normally', async () => {
    await using user = await limitedUser(3)
    const failed = next('notifier_listen_failed', 2)
    const capsule = await world.start({ databaseUrl: user.url, ...BY_POLLS })
    await failed
    expect(await took(capsule.shutdown({ timeout: 0 }))).toBeLessThan(LATE_MS)
    expect(capsule.isStoppedCleanly).toBe(true)
  })

  test('a worker that finds jobs by LISTEN alone fails to start without it, and leaves nothing behind', async () => {
    await using user = await limitedUser(3)
    const starting = world.start({ databaseUrl: user.url, ...BY_POLLS, pollInterval: -1 })
    await expect(starting).rejects.toThrow(/did not answer within 3 s: too many connections/)
    expect(await processes()).toEqual([])
  })

  test('a connection that ends with the answer to LISTEN counts as a failed attempt, and another one listens', async () => {
    await using server = await endingServer(world.url, /LISTEN good_job/)
    const failed = next('notifier_listen_failed')
    const listening = next('notifier_listen')
    // No poll comes in time: only a NOTIFY message can announce the job.
    await using capsule = await world.start({ databaseUrl: server.url, jobs: [EchoJob], pollInterval: 3_600 })
    expect((await failed)[0]).toMatchObject({ attempt: 1, error: { message: expect.stringMatching(/was lost/) } })
    await listening
    await performed(await enqueue(EchoJob))
    expect(capsule.isListening).toBe(true)
  })

  test('good-job start ends on SIGTERM while it waits for a connection to listen on', async () => {
    await using user = await limitedUser(3)
    await using worker = new Cli(['start', MODULE, '--poll-interval', '-1', '--pool-size', '1'], {
      env: { DATABASE_URL: user.url },
    })
    await worker.says(/Postgres does not respond/)
    worker.signal('SIGTERM')
    expect((await worker.ended()).code).toBe(0)
    expect(await processes()).toEqual([])
  })

  test('good-job start ends on SIGTERM, and on a second one, while it works without listening', async () => {
    await using user = await limitedUser(3)
    await using worker = new Cli(['start', MODULE, '--poll-interval', '0.2', '--pool-size', '1'], {
      env: { DATABASE_URL: user.url },
    })
    await worker.says(/Could not listen for notifications/)
    await worker.says(/ready/)
    const id = await enqueue(jobClass('HangJob', () => undefined))
    await worker.says(new RegExp(`started ${id}`))
    worker.signal('SIGTERM')
    await worker.says(/Asked to stop/)
    worker.signal('SIGTERM')
    expect((await worker.ended()).code).toBe(0)
    expect(await world.job(id)).toMatchObject({ finished_at: null, locked_by_id: null })
    expect(await processes()).toEqual([])
    await world.sql('DELETE FROM good_jobs')
  })
})

describe('the connect timeout also ends an attempt under way', () => {
  test.each([
    ['sends nothing', silentServer],
    ['accepts every login and answers no statement', deafServer],
  ])('with a server that %s', async (_name, serve) => {
    await using server = await serve()
    const capsule = new Capsule({ databaseUrl: server.url, jobs: [EchoJob], connectTimeout: 1 })
    const since = performance.now()
    await expect(capsule.start()).rejects.toThrow(
      /did not answer within 1 s: a connection or a statement is still without/,
    )
    expect(performance.now() - since).toBeLessThan(1_000 + LATE_MS)
    expect(await took(capsule.shutdown())).toBeLessThan(LATE_MS)
  })

  test.each(['GoodJob::Capsule', 'GoodJob::Completer', 'GoodJob::Lane'])(
    'with a server that answers every session except %s; a shutdown ends the wait at once',
    async (name) => {
      await using wire = await Wire.start(world.url)
      wire.hold('toClient', { names: new RegExp(name) })
      const options = { databaseUrl: wire.url(), jobs: [EchoJob] }
      const hopeless = new Capsule({ ...options, connectTimeout: 1 })
      const since = performance.now()
      await expect(hopeless.start()).rejects.toThrow(ConnectionTimeoutError)
      expect(performance.now() - since).toBeLessThan(1_000 + LATE_MS)
      const patient = new Capsule({ ...options, connectTimeout: 3_600 })
      const starting = patient.start().catch(() => 'ended')
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(await took(patient.shutdown({ timeout: 0 }))).toBeLessThan(LATE_MS)
      expect(await starting).toBe('ended')
      expect(await processes()).toEqual([])
    },
  )

  test('a worker starts without LISTEN if the server answers every session except the listener', async () => {
    await using wire = await Wire.start(world.url)
    wire.hold('toClient', { names: /Notifier/ })
    const capsule = new Capsule({ databaseUrl: wire.url(), jobs: [EchoJob], connectTimeout: 3, pollInterval: 0.2 })
    expect(await took(capsule.start())).toBeLessThan(3_000 + LATE_MS)
    expect(capsule.isListening).toBe(false)
    await performed(await enqueue(EchoJob))
    expect(await took(capsule.shutdown({ timeout: 0 }))).toBeLessThan(LATE_MS)
    expect(await processes()).toEqual([])
  })

  test("with a caller's pool that never has a free connection", async () => {
    const pool = new Pool({ connectionString: world.url, max: 1 })
    const lent = await pool.connect()
    const hopeless = new Capsule({ pool, jobs: [EchoJob], connectTimeout: 1 })
    await expect(hopeless.start()).rejects.toThrow(ConnectionTimeoutError)
    const patient = new Capsule({ pool, jobs: [EchoJob], connectTimeout: 3_600 })
    const starting = patient.start().catch(() => 'ended')
    await until(async () => pool.waitingCount > 1, 'the start waits')
    expect(await took(patient.shutdown({ timeout: 0 }))).toBeLessThan(LATE_MS)
    expect(await starting).toBe('ended')
    lent.release()
    await until(async () => pool.waitingCount === 0 && pool.idleCount === 1, 'the pool is free again')
    expect(await processes()).toEqual([])
    await pool.end()
  })

  test.each([
    ['sends nothing', silentServer],
    ['accepts every login and answers no statement', deafServer],
  ])('good-job start ends with 1, and counts its one second once, with a server that %s', async (_name, serve) => {
    await using server = await serve()
    // The warning about a queue without a class comes after loading and before the first query to Postgres.
    await using worker = new Cli(['start', MODULE, '--queues', 'nobodys', '--connect-timeout', '1'], {
      env: { DATABASE_URL: server.url },
    })
    await worker.says(/no class of this worker has the queue/)
    const since = performance.now()
    const { code, stderr } = await worker.ended()
    expect(performance.now() - since).toBeLessThan(3_000)
    expect(stderr).toMatch(/did not answer within 1 s/)
    expect(code).toBe(1)
  })
})

test('a connection through a pooler that cannot reach its server is tried again', async () => {
  await using pooler = await refusingPooler(world.url, 2)
  const retries = record('connection_retry')
  await using capsule = new Capsule({ databaseUrl: pooler.url, jobs: [EchoJob], connectTimeout: 20 })
  await capsule.start()
  expect(retries.seen).toMatchObject([{ error: { code: '08P01' } }, { error: { code: '08P01' } }])
  retries.stop()
  await performed(await enqueue(EchoJob))
})
