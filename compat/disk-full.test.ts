import { readFile } from 'node:fs/promises'
import { Pool } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Adapter, Capsule, events, Job } from '../dist/index.js'
import { findEmbeddedPostgres, giveAway, serverUser } from '../src/demo/postgres-binaries.ts'
import { withDatabase } from '../src/demo/postgres-databases.ts'
import { type PostgresServer, startServer } from '../src/demo/postgres-server.ts'
import { inTurn } from '../test/support/clean-up.ts'
import { eventually } from './support/eventually.ts'
import { describeWithSmallDisk, SmallDisk } from './support/small-disk.ts'

/** More than the free space of any page. */
const LONG_TEXT = 'x'.repeat(5_000)
const JOBS = 40

/** Random text, which the server cannot compress; about eleven characters each. */
const randomText = (parts: number): string => Array.from({ length: parts }, () => Math.random().toString(36)).join('')

/** A class whose jobs wait in `perform` until `open` is called, and the number of runs of each; `end` is called last. */
const gated = (name: string, end: () => void = () => {}) => {
  let open = (): void => {}
  const isOpen = new Promise<void>((resolve) => {
    open = resolve
  })
  const runs = new Map<string, number>()
  class GatedJob extends Job {
    static override jobClass = name

    override async perform(_text?: string): Promise<void> {
      runs.set(this.jobId, (runs.get(this.jobId) ?? 0) + 1)
      await isOpen
      end()
    }
  }
  return { GatedJob, runs, open }
}

class SmallJob extends Job {
  static override jobClass = 'SmallJob'

  override perform(_text?: string): void {}
}

describeWithSmallDisk('a full disk', () => {
  let disk: SmallDisk
  let server: PostgresServer
  let pool: Pool
  let url: string

  beforeAll(async () => {
    disk = new SmallDisk(32)
    await giveAway(disk.path, await serverUser())
    server = await startServer(findEmbeddedPostgres())
    const admin = new Pool({ connectionString: server.url })
    await admin.query(`CREATE TABLESPACE small LOCATION '${disk.path}'`)
    await admin.query('CREATE DATABASE small TABLESPACE small')
    await admin.end()
    url = withDatabase(server.url, 'small')
    pool = new Pool({ connectionString: url })
    pool.on('error', () => {})
    await pool.query(await readFile(new URL('../schema.sql', import.meta.url), 'utf8'))
  })

  afterAll(
    inTurn(
      () => pool.end(),
      () => server.stop(),
      () => disk[Symbol.dispose](),
    ),
  )

  test('delays outcomes until space is free, fails enqueues with the error of the server, and loses nothing', async () => {
    const { GatedJob, runs, open } = gated('LongErrorJob', () => {
      throw new Error(randomText(500))
    })
    const adapter = new Adapter({ databaseUrl: url })
    Job.queueAdapter = adapter
    await using capsule = new Capsule({
      databaseUrl: url,
      jobs: [GatedJob, SmallJob],
      threads: JOBS,
      batchSweepInterval: 0,
      shutdownTimeout: 1,
    })
    await capsule.start()
    const ids: string[] = []
    for (let count = 0; count < JOBS; count++) ids.push(((await GatedJob.performLater()) as Job).jobId)
    await eventually('all are started', async () => (await countOf('performed_at', ids)) === JOBS)

    disk.fill()
    const refused = events.once('outcome_write_failed')
    open()
    expect(await refused).toMatchObject({ error: { code: '53100' } })
    await events.once('outcome_write_failed', ({ attempt }) => attempt >= 3)
    await expect(fillWithJobs()).rejects.toMatchObject({ code: '53100' })
    expect(await countOf('finished_at', ids)).toBe(0)
    expect(capsule.state).toBe('running')

    disk.clear()
    await eventually('every outcome is written', async () => {
      const { rows } = await pool.query('SELECT 1 FROM good_jobs WHERE finished_at IS NULL')
      return rows.length === 0
    })
    const { rows } = await pool.query<{ jobs: number; attempts: number; errors: number }>(
      `SELECT count(*)::int AS jobs, max(executions_count) AS attempts, count(error)::int AS errors FROM good_jobs WHERE id = ANY ($1)`,
      [ids],
    )
    expect(rows).toEqual([{ jobs: JOBS, attempts: 1, errors: JOBS }])
    expect([...runs.values()]).toEqual(ids.map(() => 1))
    await adapter.close()
  })

  test('in the middle of a round of deferred starts rolls the round back, and its starts are written once space is free', async () => {
    const { GatedJob, runs, open } = gated('GatedJob')
    const adapter = new Adapter({ databaseUrl: url })
    Job.queueAdapter = adapter
    const jobs = Array.from({ length: JOBS }, () => new GatedJob(randomText(100)))
    await adapter.enqueueAll(jobs)
    const ids = jobs.map(({ jobId }) => jobId)
    await using capsule = new Capsule({
      databaseUrl: url,
      jobs: [GatedJob],
      threads: JOBS,
      batchSweepInterval: 0,
      deferStart: 5_000,
      shutdownTimeout: 1,
    })
    await capsule.start()
    await eventually('all run', async () => capsule.activeJobIds.length === JOBS)
    expect(await countOf('performed_at', ids)).toBe(0)

    disk.fill()
    await expect(fillWithJobs()).rejects.toMatchObject({ code: '53100' })
    const refused = events.once('outcome_write_failed', ({ attempt }) => attempt >= 3)
    open()
    expect(await refused).toMatchObject({ jobs: JOBS, error: { code: '53100' } })
    expect(await countOf('performed_at', ids)).toBe(0)

    disk.clear()
    await eventually('every outcome is written', async () => (await countOf('finished_at', ids)) === JOBS)
    const { rows } = await pool.query(
      `SELECT count(*)::int AS attempts, max(executions_count) AS most FROM good_job_executions AS attempt
       JOIN good_jobs ON good_jobs.id = attempt.active_job_id WHERE good_jobs.id = ANY ($1)`,
      [ids],
    )
    expect(rows).toEqual([{ attempts: JOBS, most: 1 }])
    expect([...runs.values()]).toEqual(ids.map(() => 1))
    await adapter.close()
  })

  const countOf = async (column: 'performed_at' | 'finished_at', ids: readonly string[]): Promise<number> => {
    const { rows } = await pool.query<{ count: number }>(
      `SELECT count(${column})::int FROM good_jobs WHERE id = ANY ($1)`,
      [ids],
    )
    return rows[0]?.count ?? 0
  }

  /** Enqueues jobs until the server refuses one. */
  const fillWithJobs = async (): Promise<void> => {
    for (;;) await SmallJob.performLater(LONG_TEXT)
  }
})
