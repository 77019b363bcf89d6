import { randomBytes } from 'node:crypto'
import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { Job } from '../../src/job/base.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { inTurn } from '../support/clean-up.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, record, until, type World } from '../support/harness.ts'

let world: World
const role = `good_job_limited_${randomBytes(4).toString('hex')}`
/** The database through a role that a DBA has limited. */
let limitedUrl: string
beforeAll(async () => {
  world = await openWorld()
  await world.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
  await world.sql(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`)
  const url = new URL(world.url)
  url.username = role
  url.password = 'secret'
  limitedUrl = url.href
})
afterEach(
  inTurn(
    () => world.sql(`ALTER ROLE ${role} RESET ALL`),
    () => world.sql(`ALTER ROLE ${role} CONNECTION LIMIT -1`),
  ),
)
afterAll(
  inTurn(
    () => world.sql(`DROP OWNED BY ${role}`),
    () => world.sql(`DROP ROLE ${role}`),
    () => world.close(),
  ),
)

const Plain = jobClass('Plain', () => undefined)

const connections = async (): Promise<number> =>
  (await world.sql('SELECT 1 FROM pg_stat_activity WHERE usename = $1', [role])).length

const terminate = (name: string) =>
  world.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND application_name = $2', [
    role,
    name,
  ])

/** Timeouts that a DBA sets for a role, far below the duration of a job. */
const setTimeouts = async (): Promise<void> => {
  const known = await world.sql<{ name: string }>(
    `SELECT name FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')`,
  )
  for (const { name } of known) await world.sql(`ALTER ROLE ${role} SET ${name} = '300ms'`)
}

test.each(['a URL', "the user's pool"] as const)(
  'jobs longer than every timeout that a DBA set for the worker by %s are neither lost nor run twice',
  async (by) => {
    await setTimeouts()
    const runs = new Map<string, number>()
    const Long = jobClass('Long', async (job) => {
      runs.set(job.jobId, (runs.get(job.jobId) ?? 0) + 1)
      await new Promise((resolve) => setTimeout(resolve, 900))
      if (job.executions === 1 && job.labels.includes('twice')) await job.retryJob({ wait: 0 })
    })
    // The pool has no error listener.
    const pool = new Pool({ connectionString: limitedUrl })
    {
      const connection = by === 'a URL' ? { databaseUrl: limitedUrl } : { pool }
      await using _worker = await world.start({
        ...connection,
        jobs: [Long, Plain],
        threads: 10,
        batchSweepInterval: 1,
      })
      const completed = next('batch_completed')
      const started = next('perform_start')
      const batch = await Batch.enqueue({ onFinish: Plain }, async () => {
        for (let count = 0; count < 9; count++) await Long.performLater()
        await Long.set({ labels: ['twice'] }).performLater()
      })
      // While the first jobs run, another session holds a row lock for longer than lock_timeout.
      await started
      const client = await world.database.connect()
      await client.query('BEGIN')
      await client.query('SELECT FROM good_jobs WHERE batch_id = $1 FOR UPDATE', [batch.id])
      await client.query('SELECT pg_sleep(1.5)')
      await client.query('COMMIT')
      await completed
      expect([...runs.values()].sort()).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 2])
    }
    await pool.end()
  },
)

test('a worker whose role may open no more connections reports that and starts once a connection is free', async () => {
  const others = new Pool({ connectionString: limitedUrl, max: 3 })
  const held = await Promise.all([others.connect(), others.connect(), others.connect()])
  await world.sql(`ALTER ROLE ${role} CONNECTION LIMIT 5`)
  const refused = next('connection_retry', 2, ({ part }) => part === 'start')
  const starting = world.start({ jobs: [Plain], databaseUrl: limitedUrl, poolSize: 1 })
  for (const { error } of await refused) expect(error).toMatchObject({ code: '53300' })
  for (const client of held) client.release(true)
  await using _worker = await starting
  const done = next('perform_job')
  await enqueue(Plain)
  await done
  await others.end()
})

test('a worker that cannot open its sessions fails after the connect timeout, and leaves nothing behind', async () => {
  await world.sql(`ALTER ROLE ${role} CONNECTION LIMIT 2`)
  const starting = world.start({ jobs: [Plain], databaseUrl: limitedUrl, poolSize: 1, connectTimeout: 1 })
  await expect(starting).rejects.toThrow(/did not answer within .* too many connections/)
  await until(async () => (await connections()) === 0, 'every connection is closed')
})

test('outcomes wait while every connection is taken, and are written once a connection is free', async () => {
  const gate = new Gate()
  const Waiting = jobClass('Waiting', (job) => gate.pass(job))
  await using _worker = await world.start({ jobs: [Waiting, Plain], databaseUrl: limitedUrl })
  const id = await enqueue(Waiting)
  await gate.entered
  await world.sql(`ALTER ROLE ${role} CONNECTION LIMIT 0`)
  const kept = next('outcome_write_failed', 2)
  const waiting = next('connection_retry', 2, ({ part }) => part === 'lane')
  await terminate('GoodJob::Completer')
  await terminate('GoodJob::Lane')
  await waiting
  gate.open()
  for (const { error, jobs } of await kept) expect({ error, jobs }).toMatchObject({ jobs: 1 })
  expect(await world.job(id)).toMatchObject({ finished_at: null })
  const done = performed(id)
  const restored = next('lane_restored')
  await world.sql(`ALTER ROLE ${role} CONNECTION LIMIT -1`)
  await Promise.all([done, restored])
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
  const nextDone = next('perform_job')
  await enqueue(Plain)
  await nextDone
})

test('an enqueue that finds no connection fails for its caller and leaves no job', async () => {
  const before = await world.sql('SELECT id FROM good_jobs')
  await world.sql(`ALTER ROLE ${role} CONNECTION LIMIT 0`)
  const adapter = new Adapter({ databaseUrl: limitedUrl })
  const failures = record('enqueue')
  const own = Job.queueAdapter
  Job.queueAdapter = adapter
  await expect(Plain.performLater()).rejects.toMatchObject({ code: '53300' })
  Job.queueAdapter = own
  failures.stop()
  expect(failures.seen).toMatchObject([{ error: { code: '53300' } }])
  expect(await world.sql('SELECT id FROM good_jobs')).toHaveLength(before.length)
  await adapter.close()
})
