import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type SweepOptions, sweepBatches } from '../../src/batch/completion/sweep.ts'
import { checkOptionsOf } from '../../src/batch/context.ts'
import { findBatchStates, findSuspectBatches } from '../../src/sql/batch/check.ts'
import { findBatchHistory } from '../../src/sql/batch/history.ts'
import { findOwedDiscards } from '../../src/sql/batch/owed-discards.ts'
import { tryLockSweep } from '../../src/sql/batch/sweep-lock.ts'
import type { Queryable, Statement } from '../../src/sql/connection/queryable.ts'
import { record, until, type World } from '../support/harness.ts'
import { rubyPerform, rubyRetry } from './as-ruby.ts'
import { batchWorld, CallbackJob, MemberJob, openBatchWorld, Scene, sweepOf } from './scene.ts'

for (const hasJobsFinishedAt of [true, false]) {
  describe(`with${hasJobsFinishedAt ? '' : 'out'} the column jobs_finished_at`, () => {
    const world = batchWorld({ hasJobsFinishedAt })
    beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches'))

    const sweep = (options: Partial<SweepOptions> = {}) => sweepOf(world, options)

    /** A discarded, finished batch whose broken member Ruby retried and performed. */
    const owedSuccess = async (): Promise<Scene> => {
      const scene = await Scene.enqueue(world, { bad: ['fail'] })
      await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob] })
      await scene.settled()
      await rubyRetry(world, scene.id('bad'), { isForRuby: true })
      await rubyPerform(world, scene.id('bad'))
      return scene
    }

    /** A batch whose last member ended in a process that died before its bookkeeping. */
    const hung = async (error: string | null = null): Promise<Scene> => {
      const scene = await Scene.enqueue(world, { only: { startsIn: 3600 } })
      await rubyPerform(world, scene.id('only'), error)
      return scene
    }

    test('an owed on_success is fired once', async () => {
      const scene = await owedSuccess()
      const healed = record('batch_healed')
      expect(await sweep()).toEqual({ checked: 1, healed: 1, unproven: 0, isDone: true })
      healed.stop()
      expect(healed.seen).toEqual([{ batchId: scene.batch.id, description: null, reason: 'owed_success' }])
      expect(await scene.seen()).toMatchObject({ isDiscarded: false, callbacks: ['discard', 'finish', 'success'] })
      expect(await sweep()).toMatchObject({ healed: 0 })
      expect((await scene.seen()).callbacks).toEqual(['discard', 'finish', 'success'])
    })

    test('a stuck batch is completed once', async () => {
      const scene = await hung()
      expect(await sweep()).toMatchObject({ healed: 1 })
      expect(await scene.seen()).toMatchObject({ isDiscarded: false, isEnded: true, callbacks: ['success', 'finish'] })
      expect(await sweep()).toMatchObject({ healed: 0 })
    })

    test('a stuck batch with a failed member is completed as discarded', async () => {
      const scene = await hung('RuntimeError: boom')
      expect(await sweep()).toMatchObject({ healed: 1 })
      expect(await scene.seen()).toMatchObject({ isDiscarded: true, isEnded: true, callbacks: ['discard', 'finish'] })
    })

    /** Moves the last change of the batch and the end of its members into the past. */
    const quietFor = async (scene: Scene, minutes: { batch: number; members: number }): Promise<void> => {
      const ago = (time: number) => new Date(Date.now() - time * 60_000).toISOString()
      await world.sql('UPDATE good_job_batches SET updated_at = $2 WHERE id = $1', [scene.batch.id, ago(minutes.batch)])
      await world.sql('UPDATE good_jobs SET finished_at = $2 WHERE batch_id = $1', [
        scene.batch.id,
        ago(minutes.members),
      ])
    }

    test.each([
      { batch: 1, members: 1 },
      { batch: 10, members: 1 },
      { batch: 1, members: 10 },
    ])(
      'a batch unchanged for $batch minutes, its members for $members, is left to the process that may be about to check it',
      async (minutes) => {
        const scene = await hung()
        await quietFor(scene, minutes)
        expect(await sweep({ graceMs: 300_000 })).toMatchObject({ healed: 0 })
        expect(await scene.seen()).toMatchObject({ isEnded: false, callbacks: [] })
        await quietFor(scene, { batch: 10, members: 10 })
        expect(await sweep({ graceMs: 300_000 })).toMatchObject({ healed: 1 })
        expect(await scene.seen()).toMatchObject({ isEnded: true, callbacks: ['success', 'finish'] })
      },
    )

    // Without the column a batch is finished with its jobs.
    if (hasJobsFinishedAt)
      test('a batch whose callbacks have ended is finished once it has been unchanged for a while', async () => {
        const scene = await hung()
        await world.sql(`UPDATE good_job_batches SET jobs_finished_at = now() AT TIME ZONE 'UTC'`)
        await quietFor(scene, { batch: 1, members: 10 })
        expect(await sweep({ graceMs: 300_000 })).toMatchObject({ healed: 0 })
        await quietFor(scene, { batch: 10, members: 10 })
        expect(await sweep({ graceMs: 300_000 })).toMatchObject({ healed: 1 })
        expect(await scene.seen()).toMatchObject({ isFinished: true, callbacks: [] })
      })

    test('a batch older than the window is left alone', async () => {
      const scene = await owedSuccess()
      await world.sql(`UPDATE good_job_batches SET created_at = created_at - interval '2 hours'`)
      expect(await sweep()).toMatchObject({ checked: 0, healed: 0 })
      expect((await scene.seen()).isDiscarded).toBe(true)
    })

    test('a batch without a proof of recovery is counted, reported by its id, and left unchanged', async () => {
      const scene = await owedSuccess()
      await world.sql(
        `INSERT INTO good_job_processes (id, created_at, updated_at, state)
         VALUES (gen_random_uuid(), now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC', '{"preserve_job_records": false}')`,
      )
      const unproven = record('batch_unproven')
      expect(await sweep()).toMatchObject({ healed: 0, unproven: 1 })
      expect(unproven.seen).toEqual([
        { batchId: scene.batch.id, description: null, reason: expect.stringContaining('deletes finished jobs') },
      ])
      expect(await sweep()).toMatchObject({ healed: 0, unproven: 1 })
      expect(unproven.seen).toHaveLength(1)
      await world.sql('DELETE FROM good_job_processes')
      await world.sql(
        `UPDATE good_job_executions SET finished_at = finished_at - interval '1 hour' WHERE error IS NOT NULL`,
      )
      expect(await sweep()).toMatchObject({ healed: 0, unproven: 1 })
      unproven.stop()
      expect(unproven.seen.slice(1)).toMatchObject([{ reason: expect.stringContaining('is gone') }])
      expect(await scene.seen()).toMatchObject({ isDiscarded: true, callbacks: ['discard', 'finish'] })
    })

    test('running batches and correctly finished batches are not changed', async () => {
      await Scene.enqueue(world, { waits: { startsIn: 3600 } })
      const well = await Scene.enqueue(world, { good: [] })
      await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob] })
      await well.settled()
      const before = await world.sql('SELECT * FROM good_job_batches ORDER BY id')
      expect(await sweep()).toMatchObject({ healed: 0, unproven: 0 })
      expect(await world.sql('SELECT * FROM good_job_batches ORDER BY id')).toEqual(before)
    })

    test('a batch whose row another session has locked is reported by its id; the sweep completes the others', async () => {
      const [locked, free] = [await hung(), await hung()]
      const other = await world.pool.connect()
      await other.query('BEGIN')
      await other.query('UPDATE good_job_batches SET updated_at = updated_at WHERE id = $1', [locked.batch.id])
      const errors = record('worker_error')
      expect(await sweep()).toMatchObject({ healed: 1, isDone: true })
      errors.stop()
      await other.query('ROLLBACK')
      other.release()
      expect(errors.seen).toMatchObject([{ part: `batch sweep, batch ${locked.batch.id}` }])
      expect(await free.seen()).toMatchObject({ isEnded: true, callbacks: ['success', 'finish'] })
      expect(await sweep()).toMatchObject({ healed: 1 })
      expect(await locked.seen()).toMatchObject({ isEnded: true, callbacks: ['success', 'finish'] })
    })

    test('one process sweeps at a time', async () => {
      await owedSuccess()
      const other = await world.pool.connect()
      await other.query('BEGIN')
      expect(await tryLockSweep(other)).toBe(true)
      const { rows } = await other.query('SELECT pg_backend_pid() AS pid')
      const heldBy = { pid: rows[0].pid, application: '', since: expect.any(String) }
      expect(await sweep()).toEqual({ checked: 0, healed: 0, unproven: 0, isDone: false, heldBy })
      await other.query('ROLLBACK')
      other.release()
      expect(await sweep()).toMatchObject({ isDone: true, healed: 1 })
    })

    test('a worker sweeps at its start', async () => {
      const scene = await owedSuccess()
      const swept = record('batch_sweep')
      await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob], batchSweepInterval: 60 })
      await expect.poll(() => swept.seen.length).toBe(1)
      swept.stop()
      expect(await scene.settled()).toMatchObject({ isDiscarded: false, callbacks: ['discard', 'finish', 'success'] })
    })
  })
}

describe('over many batches', () => {
  let world: World
  beforeAll(async () => {
    world = await openBatchWorld()
    await world.sql(
      `INSERT INTO good_job_batches (id, created_at, updated_at, enqueued_at, jobs_finished_at, finished_at)
       SELECT gen_random_uuid(), now() AT TIME ZONE 'UTC' - n * interval '1 second', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC',
         now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
       FROM generate_series(1, 20000) AS n`,
    )
    await world.sql(
      `INSERT INTO good_jobs (id, active_job_id, created_at, updated_at, scheduled_at, performed_at, finished_at, batch_id, queue_name,
         priority, job_class, serialized_params)
       SELECT gen_random_uuid(), gen_random_uuid(), now(), now(), now(), now(), now(), good_job_batches.id, 'default', 0, 'MemberJob', '{}'
       FROM good_job_batches, generate_series(1, 5)`,
    )
    await world.sql(
      `INSERT INTO good_job_executions (id, created_at, updated_at, active_job_id, finished_at, serialized_params)
       SELECT gen_random_uuid(), created_at, updated_at, id, finished_at, serialized_params FROM good_jobs`,
    )
    await world.sql('ANALYZE')
  })
  afterAll(() => world.close())

  const options = (): SweepOptions => ({
    database: world.adapter.database,
    check: checkOptionsOf(world.adapter),
    processId: randomUUID(),
    windowMs: 86_400_000,
    graceMs: -1_000,
  })

  test('a sweep reaches the oldest page', async () => {
    const [oldest] = await world.sql<{ id: string }>('SELECT id FROM good_job_batches ORDER BY created_at LIMIT 1')
    await world.sql(
      'UPDATE good_job_batches SET jobs_finished_at = NULL, finished_at = NULL, on_finish = $2 WHERE id = $1',
      [oldest?.id, 'CallbackJob'],
    )
    await world.sql(`UPDATE good_job_batches SET updated_at = updated_at - interval '1 hour' WHERE id = $1`, [
      oldest?.id,
    ])
    expect(await sweepBatches(options())).toMatchObject({ checked: 1, healed: 1 })
  })

  test('no lock is held longer than one page, and two sweeps that meet between pages both continue', async () => {
    const [young] = await world.sql<{ id: string }>('SELECT id FROM good_job_batches ORDER BY created_at DESC LIMIT 1')
    const [old] = await world.sql<{ id: string }>('SELECT id FROM good_job_batches ORDER BY created_at LIMIT 1')
    await world.sql(
      `UPDATE good_job_batches SET jobs_finished_at = NULL, finished_at = NULL, updated_at = updated_at - interval '1 hour'
       WHERE id IN ($1, $2)`,
      [young?.id, old?.id],
    )
    const waits = (text: RegExp) => async () =>
      (
        await world.sql<{ query: string }>(
          `SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
        )
      ).some(({ query }) => text.test(query))
    const [row, page] = [await world.database.connect(), await world.database.connect()]
    await row.query('BEGIN')
    await row.query('UPDATE good_job_batches SET description = description WHERE id = $1', [young?.id])
    const swept = sweepBatches(options())
    await until(waits(/UPDATE good_job_batches/), 'the sweep writes the young batch')
    await page.query('BEGIN')
    expect(await tryLockSweep(page)).toBe(true)
    await row.query('ROLLBACK')
    await until(waits(/pg_advisory_xact_lock/), 'the sweep waits for its next page')
    await page.query('COMMIT')
    expect(await swept).toMatchObject({ healed: 2, isDone: true })
    await Promise.all([row.end(), page.end()])
  })

  test('no statement of a sweep reads all of good_jobs', async () => {
    const facts = await world.adapter.database.facts()
    const statements: Statement[] = []
    const pool: Queryable = world.pool
    const spy: Queryable = {
      query: (statement) => {
        statements.push(statement)
        return pool.query(statement)
      },
    }
    const at = world.adapter.clock.timestamp()
    const page = {
      createdAfter: '2020-01-01T00:00:00Z',
      before: { createdAt: at, id: randomUUID() },
      quietSince: at,
      endedSince: '2020-01-01T00:00:00Z',
    }
    await findSuspectBatches(spy, facts, page)
    const [batch] = await world.sql<{ id: string }>('SELECT id FROM good_job_batches LIMIT 1')
    const [state] = await findBatchStates(spy, facts, [batch?.id ?? ''])
    if (state === undefined) throw new Error('the batch is gone')
    await findBatchHistory(spy, facts, state, at)
    await findOwedDiscards(spy, facts, page)
    expect(statements).toHaveLength(4)
    for (const { text, values } of statements) {
      const plan = await world.pool.query(`EXPLAIN ${text}`, [...(values ?? [])])
      const lines = plan.rows.map((row) => String(row['QUERY PLAN']))
      expect(lines.filter((line) => /Scan.* on good_jobs/.test(line))).not.toEqual([])
      expect(lines.filter((line) => /Seq Scan on (good_jobs|good_job_executions)\b/.test(line))).toEqual([])
    }
  })
})
