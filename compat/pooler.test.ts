import { Client, Pool } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Batch } from '../src/batch/batch.ts'
import { Job } from '../src/job/base.ts'
import { Adapter } from '../src/maintenance/adapter.ts'
import { jobLockKey } from '../src/sql/advisory-lock.ts'
import type { Capsule } from '../src/worker/capsule.ts'
import { inTurn } from '../test/support/clean-up.ts'
import { runCli, runJson } from '../test/support/cli.ts'
import {
  enqueue,
  Gate,
  jobClass,
  next,
  openWorld,
  performed,
  record,
  until,
  type World,
} from '../test/support/harness.ts'
import { PgBouncer } from './support/pgbouncer.ts'
import { describeWithPgBouncer } from './support/with-pgbouncer.ts'

const SERVER_CONNECTIONS = 2

const SESSION_STATE = `
SELECT pg_backend_pid() AS pid, array_agg(kept) AS kept
FROM (
  SELECT 'setting ' || name AS kept FROM pg_settings
  WHERE source = 'session'
    AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')
  UNION ALL
  SELECT 'lock ' || ((classid::bigint << 32) | objid::bigint) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
  UNION ALL
  SELECT 'prepared ' || name FROM pg_prepared_statements
  UNION ALL
  SELECT 'waits for ' || channel FROM pg_listening_channels() AS channel
  UNION ALL
  SELECT 'table ' || relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r' AND relnamespace = pg_my_temp_schema()
) AS state`

describeWithPgBouncer('behind PgBouncer in transaction mode', () => {
  let world: World
  let pooler: PgBouncer
  let adapter: Adapter
  beforeAll(async () => {
    world = await openWorld()
    // Fewer server connections than clients: each statement may meet another one.
    pooler = await PgBouncer.start(world.url, { size: SERVER_CONNECTIONS, isRoundRobin: true })
    adapter = new Adapter({ databaseUrl: pooler.url, poolSize: 6 })
    Job.queueAdapter = adapter
  })
  afterAll(
    inTurn(
      () => adapter.close(),
      () => pooler[Symbol.asyncDispose](),
      () => world.close(),
    ),
  )

  const Plain = jobClass('Plain', () => undefined)
  const Failing = jobClass('Failing', () => {
    throw new Error('on purpose')
  })

  const start = (options: Parameters<World['start']>[0]): Promise<Capsule> =>
    world.start({ databaseUrl: pooler.url, directDatabaseUrl: world.url, poolSize: 6, shutdownTimeout: 1, ...options })

  /**
   * The session state on each of the pooler's server connections: all of them are held open at the same time, so that none is left out.
   * Settings that PgBouncer itself sets for its clients are none.
   */
  const sessionState = async (): Promise<string[]> => {
    const clients = await Promise.all(
      Array.from({ length: SERVER_CONNECTIONS }, async () => {
        const client = new Client({ connectionString: pooler.url })
        await client.connect()
        return client
      }),
    )
    for (const client of clients) await client.query('BEGIN')
    const asked = await Promise.all(
      clients.map((client) => client.query<{ pid: number; kept: string[] | null }>(SESSION_STATE)),
    )
    await Promise.all(clients.map((client) => client.end()))
    const rows = asked.flatMap((answer) => answer.rows)
    expect(new Set(rows.map(({ pid }) => pid)).size).toBe(SERVER_CONNECTIONS)
    return rows.flatMap(({ kept }) => kept ?? [])
  }

  test('a worker with a direct connection for its sessions runs all other statements through the pooler', async () => {
    const gate = new Gate()
    const Waiting = jobClass('Waiting', (job) => gate.pass(job))
    await using worker = await start({
      jobs: [Plain, Failing, Waiting],
      threads: 20,
      pollInterval: -1,
      batchSweepInterval: 1,
    })
    const waitingId = await enqueue(Waiting)
    await gate.entered
    const clients = await world.sql<{ name: string; count: number }>(
      `SELECT application_name AS name, count(*)::int FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'GoodJob::%' GROUP BY 1 ORDER BY 1`,
    )
    expect(clients).toEqual(
      expect.arrayContaining([
        { name: 'GoodJob::Completer', count: 1 },
        { name: 'GoodJob::Lane', count: 1 },
        { name: 'GoodJob::Notifier', count: 1 },
      ]),
    )
    const holders = await world.sql(
      `SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
       WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::bigint << 32) | objid::bigint = $1`,
      [jobLockKey(waitingId)],
    )
    expect(holders).toEqual([{ application_name: 'GoodJob::Lane' }])
    const [ended, swept] = [next('perform_job', 61), next('batch_sweep', 2)]
    const done = performed(waitingId)
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        await adapter.enqueue(new Plain())
        await adapter.enqueueAll([new Failing()])
      }),
    )
    gate.open()
    await Promise.all([ended, done, swept])
    expect(worker.isListening).toBe(true)
    expect(await sessionState()).toEqual([])
  })

  test('the test detects session state on a connection of the pooler', async () => {
    const client = new Client({ connectionString: pooler.url })
    await client.connect()
    await client.query('BEGIN')
    await client.query(`SELECT set_config('work_mem', '5MB', false), pg_advisory_lock(42)`)
    await client.query('LISTEN somewhere')
    await client.query('PREPARE something AS SELECT 1')
    await client.query('CREATE TEMPORARY TABLE something (id int)')
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    await client.query('COMMIT')
    await client.end()
    expect((await sessionState()).sort()).toEqual([
      'lock 42',
      'prepared something',
      'setting work_mem',
      'table something',
      'waits for somewhere',
    ])
    await world.sql('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
    await until(
      async () => (await world.sql('SELECT FROM pg_stat_activity WHERE pid = $1', [rows[0]?.pid])).length === 0,
      'its end',
    )
  })

  test('the sweeps of several workers continue as long as they run, and complete batches', async () => {
    const troubles = [record('batch_sweep_missed'), record('worker_error')]
    const batch = await Batch.enqueue(
      { onFinish: Plain },
      new (Plain as unknown as new () => Job)().set({ wait: 3600 }),
    )
    const options = { jobs: [Plain], batchSweepInterval: 0.2, batchSweepGrace: 0.1 }
    const workers = [await start(options), await start(options)]
    const sweepsOf = (worker: Capsule) => next('batch_sweep', 15, ({ processId }) => processId === worker.processId)
    await Promise.all(workers.map(sweepsOf))
    // As a Ruby process leaves it that dies before its bookkeeping.
    const healed = next('batch_healed')
    await world.sql(
      `UPDATE good_jobs SET finished_at = now() AT TIME ZONE 'UTC' - interval '1 minute' WHERE batch_id = $1`,
      [batch.id],
    )
    expect(await healed).toMatchObject([{ batchId: batch.id, reason: 'hung' }])
    for (const worker of workers) await worker.shutdown()
    for (const trouble of troubles) {
      trouble.stop()
      expect(trouble.seen).toEqual([])
    }
    expect(await sessionState()).toEqual([])
  })

  test('batches, their callbacks and the actions on jobs work through the pooler', async () => {
    await using _worker = await start({ jobs: [Plain, Failing] })
    const finished = next('batch_completed')
    const batch = await Batch.enqueue({ onFinish: Plain }, async () => {
      await Plain.performLater()
      await Failing.performLater()
    })
    await finished
    const [failed] = await world.sql<{ id: string }>(
      'SELECT id FROM good_jobs WHERE batch_id = $1 AND error IS NOT NULL',
      [batch.id],
    )
    const failedId = failed?.id ?? ''
    const again = performed(failedId)
    await adapter.retryJob(failedId)
    await again
    await adapter.destroyJob(failedId)
    const later = await enqueue(Plain, { wait: 3600 })
    await adapter.rescheduleJob(later, new Date(Date.now() + 7_200_000))
    await adapter.discardJob(later)
    await batch.reload()
    expect(batch.finishedAt).toBeInstanceOf(Date)
  })

  test('jobs are enqueued in transactions of the caller that lead through the pooler', async () => {
    const pool = new Pool({ connectionString: pooler.url, max: 4 })
    const direct = new Adapter({ databaseUrl: world.url })
    const before = await world.sql('SELECT id FROM good_jobs')
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        const client = await pool.connect()
        await client.query('BEGIN')
        await direct.enqueue(new Plain(), { transaction: client })
        await client.query('COMMIT')
        client.release()
      }),
    )
    expect(await world.sql('SELECT id FROM good_jobs')).toHaveLength(before.length + 12)
    await direct.close()
    await pool.end()
  })

  test('the commands work through the pooler', async () => {
    const env = { DATABASE_URL: pooler.url }
    // Doctor reports jobs without a worker, and the missing worker, as problems.
    await world.sql('DELETE FROM good_jobs')
    await using _worker = await start({ jobs: [Failing] })
    const id = await enqueue(Plain, { wait: 3600 })
    for (const args of [
      ['jobs', 'discard', id],
      ['jobs', 'retry', id],
      ['jobs', 'discard', id],
      ['jobs', 'destroy', id],
      ['batches', 'list'],
      ['schema', 'check'],
      ['schema', 'install'],
      ['cleanup_preserved_jobs', '--before-seconds-ago', '0'],
      ['doctor'],
    ]) {
      const { code, stderr } = await runCli(args, { env })
      expect({ args, code, stderr }).toMatchObject({ code: 0 })
    }
    expect(await runJson(pooler.url, 'jobs', 'list', '--state', 'succeeded')).toMatchObject({ jobs: [] })
  })
})
