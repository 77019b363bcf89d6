import { Pool } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Batch } from '../src/batch/batch.ts'
import { Job } from '../src/job/base.ts'
import { Adapter } from '../src/maintenance/adapter.ts'
import { jobLockKey } from '../src/sql/advisory-lock.ts'
import type { Capsule } from '../src/worker/capsule.ts'
import { inTurn } from '../test/support/clean-up.ts'
import { runCli, runJson } from '../test/support/cli.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, type World } from '../test/support/harness.ts'
import { PgBouncer } from './support/pgbouncer.ts'
import { describeWithPgBouncer } from './support/with-pgbouncer.ts'

describeWithPgBouncer('behind PgBouncer in transaction mode', () => {
  let world: World
  let pooler: PgBouncer
  let adapter: Adapter
  beforeAll(async () => {
    world = await openWorld()
    // Fewer server connections than clients: each statement may meet another one.
    pooler = await PgBouncer.start(world.url, { size: 2, isRoundRobin: true })
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

  /** Settings of the pooler's server connections that somebody changed for a session. */
  const leakedSettings = async (): Promise<unknown[]> => {
    const pool = new Pool({ connectionString: pooler.url, max: 4 })
    const asked = await Promise.all(
      Array.from({ length: 20 }, () => pool.query(`SELECT name, setting FROM pg_settings WHERE source = 'session'`)),
    )
    await pool.end()
    const own = /^(application_name|client_encoding|DateStyle|TimeZone|standard_conforming_strings)$/
    return asked.flatMap(({ rows }) => rows.filter(({ name }) => !own.test(name)))
  }

  test('a worker with a direct connection for its sessions does everything else through the pooler', async () => {
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
    const ended = next('perform_job', 61)
    const done = performed(waitingId)
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        await adapter.enqueue(new Plain())
        await adapter.enqueueAll([new Failing()])
      }),
    )
    gate.open()
    await Promise.all([ended, done])
    expect(worker.isListening).toBe(true)
    expect(await leakedSettings()).toEqual([])
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
    // Nobody serves them, which the doctor would call ill.
    await world.sql('DELETE FROM good_jobs')
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
