import { randomUUID } from 'node:crypto'
import { Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { Lane } from '../../src/claim/lane.ts'
import type { ClaimRequest } from '../../src/claim/lane-options.ts'
import { RoundLane } from '../../src/claim/round-lane.ts'
import { EnqueueError } from '../../src/errors.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { cleanupPreservedJobs } from '../../src/maintenance/cleanup.ts'
import { pauseJobs, unpauseJobs } from '../../src/maintenance/pauses.ts'
import { pgConnection } from '../../src/sql/connection/pg-connection.ts'
import { removeProcess, upsertProcess, upsertProcessText } from '../../src/sql/process/processes.ts'
import { installSchema } from '../../src/sql/schema/schema.ts'
import { seesCommits } from '../../src/sql/transaction/read-committed.ts'
import { systemClock } from '../../src/time.ts'
import { Heartbeat } from '../../src/worker/heartbeat.ts'
import { inTurn } from '../support/clean-up.ts'
import { setDefault } from '../support/defaults.ts'
import { ago, jobClass, openWorld, record, until, type World } from '../support/harness.ts'
import { createDatabase } from '../support/postgres.ts'

const Plain = jobClass('Plain', () => undefined)
const newJob = () => new (Plain as unknown as new () => InstanceType<typeof Plain>)()

describe.each(['read committed', 'repeatable read', 'serializable'])('where %s is the default', (value) => {
  let world: World
  let pool: Pool
  let adapter: Adapter
  beforeAll(async () => {
    world = await openWorld()
    await setDefault(world, { name: 'default_transaction_isolation', scope: 'database', value })
    // The user's own connections, whose session settings are not changed.
    pool = new Pool({ connectionString: world.url, application_name: 'ours' })
    adapter = new Adapter({ pool })
    await adapter.database.facts()
  })
  afterAll(
    inTurn(
      () => pool.end(),
      () => world.close(),
    ),
  )
  beforeEach(() =>
    world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches, good_job_processes, good_job_settings'),
  )

  /** Makes an uncommitted change in another session, lets `work` wait for it, commits, and returns the result of `work`. */
  const behind = async <T>(
    change: string,
    values: unknown[],
    work: () => Promise<T>,
    secondChange?: string,
  ): Promise<T> => {
    const other = await world.database.connect()
    await other.query('BEGIN ISOLATION LEVEL READ COMMITTED')
    await other.query(change, values)
    const done = work()
    // The caller sees a rejection at the end.
    done.catch(() => undefined)
    const waits = `SELECT FROM pg_stat_activity WHERE application_name IN ('ours', 'GoodJob::Process', 'GoodJob::Lane') AND wait_event_type = 'Lock' AND datname = current_database()`
    await until(async () => (await world.sql(waits)).length > 0, 'ours waits')
    if (secondChange) await other.query(secondChange)
    await other.query('COMMIT')
    await other.end()
    return done
  }

  const SAME_ID = `INSERT INTO good_jobs (id, active_job_id, created_at, updated_at) VALUES ($1, $1, now(), now())`

  test('a job whose id was inserted meanwhile is refused with an error that names it', async () => {
    const job = newJob()
    await expect(behind(SAME_ID, [job.jobId], () => adapter.enqueue(job))).rejects.toBeInstanceOf(EnqueueError)
  })

  test('a job of a bulk whose id was inserted meanwhile is left out', async () => {
    const jobs = [newJob(), newJob()]
    expect(await behind(SAME_ID, [jobs[0]?.jobId], () => adapter.enqueueAll(jobs))).toBe(1)
  })

  test('a cleanup deletes rows that changed while it waited for the tables', async () => {
    const id = await world.insert({ finished_at: ago(7200) })
    const cleanUp = () =>
      cleanupPreservedJobs({
        database: adapter.database,
        clock: systemClock,
        olderThanSeconds: 3600,
        includesDiscarded: true,
      })
    const counts = await behind('LOCK TABLE good_jobs', [], cleanUp, 'UPDATE good_jobs SET updated_at = now()')
    expect(counts).toMatchObject({ destroyedJobsCount: 1 })
    expect(await world.sql('SELECT FROM good_jobs WHERE id = $1', [id])).toEqual([])
  })

  test('two pauses set at the same time are both stored, and both removals too', async () => {
    await pauseJobs(adapter, { queue: 'first' })
    const touch = `UPDATE good_job_settings SET updated_at = now() WHERE key = 'pauses'`
    await behind(touch, [], () => pauseJobs(adapter, { queue: 'second' }))
    expect((await adapter.paused()).queues).toEqual(['first', 'second'])
    expect(await behind(touch, [], () => unpauseJobs(adapter, { queue: 'first' }))).toBe(true)
    expect((await adapter.paused()).queues).toEqual(['second'])
  })

  test('a batch is saved over a concurrent change', async () => {
    const batch = new Batch({ description: 'first' }, adapter)
    await batch.save()
    batch.description = 'second'
    await behind('UPDATE good_job_batches SET updated_at = now() WHERE id = $1', [batch.id], () => batch.save())
    expect((await Batch.find(batch.id, adapter)).description).toBe('second')
  })

  test('a process deletes its row, and updates its heartbeat, despite concurrent changes of the row', async () => {
    const { database } = adapter
    const facts = await database.facts()
    const id = randomUUID()
    await database.statement((db) => upsertProcess(db, facts, { id, state: '{}' }))
    const jobId = await world.insert({ locked_by_id: id, locked_at: ago(1) })
    const touch = 'UPDATE good_job_processes SET updated_at = now() WHERE id = $1'
    const failures = record('process_heartbeat_failed')
    const heartbeat = new Heartbeat({
      config: database.clientConfig('GoodJob::Process'),
      statement: upsertProcessText(facts),
      processId: id,
      intervalMs: 1000,
      state: () => '{"beat":true}',
    })
    await behind(touch, [id], async () => heartbeat.start())
    await until(
      async () => (await world.sql(`SELECT FROM good_job_processes WHERE state ? 'beat'`)).length === 1,
      'the beat is written',
    )
    await heartbeat.stop()
    failures.stop()
    expect(failures.seen).toEqual([])
    await behind('UPDATE good_jobs SET updated_at = now() WHERE id = $1', [jobId], () =>
      database.statement((db) => removeProcess(db, id)),
    )
    expect(await world.sql('SELECT FROM good_job_processes')).toEqual([])
    expect(await world.job(jobId)).toMatchObject({ locked_by_id: null })
  })

  test('an own transaction sees concurrent commits; a foreign transaction is recognized by its isolation level', async () => {
    const open = 'SELECT count(*)::int AS jobs FROM good_jobs'
    await adapter.database.transaction(async (db) => {
      expect((await db.query(open)).rows).toEqual([{ jobs: 0 }])
      await world.insert()
      expect((await db.query(open)).rows).toEqual([{ jobs: 1 }])
      expect(await seesCommits(db)).toBe(true)
    })
    const client = await pool.connect()
    for (const level of ['READ UNCOMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE']) {
      await client.query(`BEGIN ISOLATION LEVEL ${level}`)
      expect([level, await seesCommits(client)]).toEqual([level, level.startsWith('READ')])
      await client.query('COMMIT')
    }
    client.release()
  })

  test('a statement refused for another reason is not repeated', async () => {
    let tries = 0
    const refused = adapter.database.statement((db) => {
      tries += 1
      return db.query({ text: 'SELECT 1 / 0' })
    })
    await expect(refused).rejects.toMatchObject({ code: '22012' })
    expect(tries).toBe(1)
  })

  test.each([0, 20])(
    'a claim takes a job that changed while it waited, starts deferred by %i ms',
    async (deferStartMs) => {
      const { database } = adapter
      await database.facts()
      const nothing = () => undefined
      const hooks = { onClaimsLost: nothing, onReady: nothing }
      const options = { database, processId: randomUUID(), sort: 'created_at', ...hooks } as const
      const lane = deferStartMs > 0 ? new RoundLane({ ...options, deferStartMs }) : new Lane(options, pgConnection)
      await lane.connect()
      const id = await world.insert({ job_class: 'Plain' })
      const now = systemClock.timestamp()
      const request = (): ClaimRequest => ({
        selector: { kind: 'all' },
        jobClasses: ['Plain'],
        sort: 'created_at',
        selectLimit: 100,
        limit: 100,
        now,
        dueUntil: now,
      })
      const take = async () => {
        if (!(lane instanceof RoundLane)) return (await lane.claim(request)).rows
        const round = await lane.openRound(request)
        await round?.close([])
        return round?.rows ?? []
      }
      const claimed: string[] = []
      await behind(
        'LOCK TABLE good_jobs',
        [],
        async () => {
          for (const { id } of await take()) claimed.push(id)
        },
        'UPDATE good_jobs SET updated_at = now()',
      )
      await lane.close()
      expect(claimed).toEqual([id])
    },
  )

  test('two installations at the same time create one set of tables', async () => {
    const empty = await createDatabase({ template: 'empty' })
    await setDefault({ ...world, database: empty }, { name: 'default_transaction_isolation', scope: 'database', value })
    const pools = [empty.pool(), empty.pool()]
    const made = await Promise.all(pools.map((each) => installSchema(each)))
    expect(made.map(({ installed, existing }) => installed.length + existing.length)).toEqual([6, 6])
    await empty.drop()
  })
})
