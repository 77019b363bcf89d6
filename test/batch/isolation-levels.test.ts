import type { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import type { EventName } from '../../src/events.ts'
import { Job } from '../../src/job/base.ts'
import { findBlocked } from '../../src/perform/outcome/blocked.ts'
import { batchLockKey } from '../../src/sql/advisory-lock.ts'
import { tryLockSweep } from '../../src/sql/batch/sweep-lock.ts'
import type { Queryable } from '../../src/sql/connection/queryable.ts'
import { type DefaultSetting, setDefault } from '../support/defaults.ts'
import { record, until, type World } from '../support/harness.ts'
import { blockedSessions } from '../support/sessions.ts'
import { claimAll, outcomeOf } from './outcomes.ts'
import {
  ALL_CALLBACKS,
  CallbackJob,
  callbacksByDescription,
  Gate,
  MemberJob,
  openBatchWorld,
  Scene,
  sweepOf,
} from './scene.ts'

const PAIRS = 60

/** The two members of a pair wait for each other, each in a worker of its own, so that they end at the same instant. */
const waiting = new Map<number, () => void>()
const meet = (pair: number): Promise<void> | void => {
  const other = waiting.get(pair)
  if (other) return other()
  return new Promise((resolve) => waiting.set(pair, resolve))
}
class LeftJob extends Job<[pair: number]> {
  perform(pair: number) {
    return meet(pair)
  }
}
class RightJob extends Job<[pair: number, fails: boolean]> {
  async perform(pair: number, fails: boolean): Promise<void> {
    await meet(pair)
    if (fails) throw new Error('the one that fails')
  }
}

const DEFAULTS: readonly Pick<DefaultSetting, 'scope' | 'value'>[] = [
  { scope: 'database', value: 'read committed' },
  { scope: 'database', value: 'repeatable read' },
  { scope: 'database', value: 'serializable' },
  { scope: 'role', value: 'repeatable read' },
]

describe.each(DEFAULTS)('where $value is the default of the $scope', ({ scope, value }) => {
  let world: World
  beforeAll(async () => {
    world = await openBatchWorld()
    await setDefault(world, { name: 'default_transaction_isolation', scope, value })
  })
  afterAll(() => world.close())
  beforeEach(() => {
    waiting.clear()
    Job.queueAdapter = world.adapter
    return world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches')
  })

  /** Records the errors that a refused statement would cause; returns a function that stops and returns those it saw. */
  const recordTroubles = () => {
    const names: EventName[] = ['claim_failed', 'outcome_write_failed', 'worker_error', 'process_heartbeat_failed']
    const records = names.map((name) => record(name))
    return () =>
      records.flatMap(({ seen, stop }) => {
        stop()
        return seen
      })
  }

  /** Holds the lock of a batch from another session until `release`, which waits until one of our sessions waits for it. */
  const holdLock = async (
    batchId: string,
  ): Promise<{ client: Client; release: (before?: () => Promise<unknown>) => Promise<void> }> => {
    const client = await world.database.connect()
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED')
    await client.query('SELECT pg_advisory_xact_lock($1)', [batchLockKey(batchId)])
    return {
      client,
      release: async (before = async () => undefined) => {
        await before()
        await client.query('COMMIT')
        await client.end()
      },
    }
  }

  const untilOneWaits = (): Promise<void> =>
    until(
      async () => (await world.sql(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)).length > 0,
      'a session waits for the lock',
    )

  test(`${PAIRS} batches whose last members end at once in two workers all end, each callback once`, async () => {
    const troubles = recordTroubles()
    await Batch.enqueueAll(
      Array.from({ length: PAIRS }, (_, pair) => {
        const fails = pair % 3 === 0
        const options = { ...ALL_CALLBACKS, description: fails ? 'broken' : 'good' }
        return [options, [new LeftJob(pair), new RightJob(pair, fails)]] as const
      }),
    )
    {
      await using _left = await world.start({ jobs: [LeftJob, CallbackJob], threads: PAIRS })
      await using _right = await world.start({ jobs: [RightJob, CallbackJob], threads: PAIRS })
      const open = 'SELECT FROM good_job_batches WHERE finished_at IS NULL'
      await until(async () => (await world.sql(open)).length === 0, 'every batch has ended')
    }
    expect(await callbacksByDescription(world)).toEqual([
      { description: 'broken', events: 'discard finish', batches: PAIRS / 3 },
      { description: 'good', events: 'finish success', batches: (2 * PAIRS) / 3 },
    ])
    expect(troubles()).toEqual([])
  })

  test('an outcome that waits for the lock of its batch sees a member added meanwhile', async () => {
    const gate = new Gate()
    const scene = await Scene.enqueue(world, { only: [{ gate, ends: 'ok' }] })
    await using _worker = await world.start({ jobs: [MemberJob, CallbackJob] })
    await gate.entered
    const lock = await holdLock(scene.batch.id)
    const late = scene.member('late').set({ wait: 3600 })
    await world.adapter.enqueue(late)
    await lock.client.query('UPDATE good_jobs SET batch_id = $1 WHERE id = $2', [scene.batch.id, late.jobId])
    gate.open()
    await untilOneWaits()
    await lock.release()
    await scene.ended('only')
    expect(await scene.seen()).toMatchObject({ isEnded: false, callbacks: [] })
  })

  test('an action that waits for the lock of a batch sees a member added meanwhile', async () => {
    const scene = await Scene.enqueue(world, { only: { startsIn: 3600 } })
    const late = scene.member('late').set({ wait: 3600 })
    await world.adapter.enqueue(late)
    const lock = await holdLock(scene.batch.id)
    await lock.client.query('UPDATE good_jobs SET batch_id = $1 WHERE id = $2', [scene.batch.id, late.jobId])
    const discarded = world.adapter.discardJob(scene.id('only'))
    await untilOneWaits()
    await lock.release()
    await discarded
    expect(await scene.seen()).toMatchObject({ isDiscarded: true, isEnded: false, callbacks: ['discard'] })
  })

  test('a manual recovery that waits for the lock of a batch sees a member added meanwhile', async () => {
    const scene = await Scene.enqueue(world, { only: { startsIn: 3600 } })
    const late = scene.member('late').set({ wait: 3600 })
    await world.adapter.enqueue(late)
    await world.sql(`UPDATE good_jobs SET finished_at = now() AT TIME ZONE 'UTC' WHERE id = $1`, [scene.id('only')])
    const lock = await holdLock(scene.batch.id)
    await lock.client.query('UPDATE good_jobs SET batch_id = $1 WHERE id = $2', [scene.batch.id, late.jobId])
    const recovery = scene.batch.recover()
    await untilOneWaits()
    await lock.release()
    expect(await recovery).toMatchObject({ outcome: 'nothing', reason: 'members have not ended yet' })
    expect(await scene.seen()).toMatchObject({ isEnded: false, callbacks: [] })
  })

  test('a retry that waits for the lock of its batch includes a member that failed meanwhile', async () => {
    const scene = await Scene.enqueue(world, { only: { startsIn: 3600 } })
    const lock = await holdLock(scene.batch.id)
    await lock.client.query(
      `UPDATE good_jobs SET finished_at = now() AT TIME ZONE 'UTC', error = 'StandardError: boom' WHERE id = $1`,
      [scene.id('only')],
    )
    const retry = scene.batch.retry({ force: true })
    await untilOneWaits()
    await lock.release()
    expect(await retry).toMatchObject({ retriedJobIds: [scene.id('only')] })
  })

  test('a batch enqueued while another session holds its lock waits for a member added meanwhile', async () => {
    const scene = await Scene.enqueue(world, { only: { startsIn: 3600 } })
    await world.sql(`UPDATE good_jobs SET finished_at = now() AT TIME ZONE 'UTC' WHERE id = $1`, [scene.id('only')])
    const late = scene.member('late').set({ wait: 3600 })
    await world.adapter.enqueue(late)
    const lock = await holdLock(scene.batch.id)
    await lock.client.query('UPDATE good_jobs SET batch_id = $1 WHERE id = $2', [scene.batch.id, late.jobId])
    const armed = scene.batch.enqueue([])
    await untilOneWaits()
    await lock.release()
    await armed
    expect(await scene.seen()).toMatchObject({ isEnded: false, callbacks: [] })
  })

  test('a sweep waits while another process reads a page, and then sees what was committed meanwhile', async () => {
    const finish = (scene: Scene) =>
      world.sql(`UPDATE good_jobs SET finished_at = now() AT TIME ZONE 'UTC' WHERE id = $1`, [scene.id('only')])
    const scene = await Scene.enqueue(world, { only: { startsIn: 3600 } })
    await finish(scene)
    const row = await world.database.connect()
    await row.query('BEGIN')
    await row.query('SELECT FROM good_job_batches WHERE id = $1 FOR UPDATE', [scene.batch.id])
    const sweeping = sweepOf(world)
    await until(async () => (await blockedSessions(world)) > 0, 'the sweep is between its first page and the next')
    const other = await world.database.connect()
    await other.query('BEGIN')
    expect(await tryLockSweep(other)).toBe(true)
    await row.query('COMMIT')
    await row.end()
    await untilOneWaits()
    const late = await Scene.enqueue(world, { only: { startsIn: 3600 } })
    await finish(late)
    await world.sql(`UPDATE good_job_batches SET created_at = created_at - interval '1 minute' WHERE id = $1`, [
      late.batch.id,
    ])
    await other.query('COMMIT')
    await other.end()
    expect(await sweeping).toMatchObject({ healed: 2, isDone: true })
    for (const one of [scene, late])
      expect(await one.seen()).toMatchObject({ isEnded: true, callbacks: ['success', 'finish'] })
  })

  test('the query that finds which outcomes wait succeeds although a batch changes during it', async () => {
    const scene = await Scene.enqueue(world, { only: [] })
    const client = await world.database.connect()
    const { rows, now } = await claimAll(world, client, ['MemberJob'])
    let statements = 0
    const db: Queryable = {
      query: async (query) => {
        const result = await client.query(query as never)
        statements += 1
        // After BEGIN, and the statement that finds the jobs.
        if (statements === 2) await world.sql('UPDATE good_job_batches SET updated_at = updated_at')
        return result as never
      },
    }
    const outcomes = rows.map((row) => outcomeOf(row, now, now))
    expect(outcomes).toHaveLength(1)
    expect([...(await findBlocked(db, outcomes)).values()]).toEqual([])
    const lock = await holdLock(scene.batch.id)
    expect([...(await findBlocked(db, outcomes)).values()]).toEqual([scene.batch.id])
    await lock.release()
    await client.end()
  })
})
