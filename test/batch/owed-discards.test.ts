import { beforeEach, describe, expect, test } from 'vitest'
import type { SweepOptions } from '../../src/batch/completion/sweep.ts'
import { findBrokenAt, findOwedDiscards } from '../../src/sql/batch/owed-discards.ts'
import { next, record } from '../support/harness.ts'
import { rubyBookkeeping, rubyDiscard, rubyPerform, rubyRetry } from './as-ruby.ts'
import { batchWorld, CallbackJob, MemberJob, Scene, sweepOf } from './scene.ts'

const REFUSE = 'ALTER TABLE good_jobs ADD CONSTRAINT no_callbacks CHECK (batch_callback_id IS NULL) NOT VALID'
const ALLOW = 'ALTER TABLE good_jobs DROP CONSTRAINT no_callbacks'

for (const hasJobsFinishedAt of [true, false]) {
  describe(`with${hasJobsFinishedAt ? '' : 'out'} the column jobs_finished_at`, () => {
    const world = batchWorld({ hasJobsFinishedAt })
    beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches'))

    const sweep = (options: Partial<SweepOptions> = {}) => sweepOf(world, options)

    /** Runs `work` while no callback can be inserted, until the check of a batch has been refused. */
    const refused = async (work: () => Promise<unknown>): Promise<void> => {
      const refused = next('batch_check_refused')
      await world.sql(REFUSE)
      try {
        await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob] })
        await work()
        await refused
      } finally {
        await world.sql(ALLOW)
      }
    }

    test('an on_discard that Postgres refused is enqueued later, once, while the batch still runs', async () => {
      let scene: Scene | undefined
      await refused(async () => {
        scene = await Scene.enqueue(world, { bad: ['fail'], waits: { startsIn: 3600 } })
      })
      expect(await scene?.seen()).toMatchObject({ isDiscarded: false, callbacks: [] })
      const healed = record('batch_healed')
      const sweeps = await Promise.all([sweep(), sweep()])
      sweeps.push(await sweep())
      healed.stop()
      expect(healed.seen).toEqual([{ batchId: scene?.batch.id, description: null, reason: 'owed_discard' }])
      expect(sweeps.reduce((sum, one) => sum + one.healed, 0)).toBe(1)
      expect(await scene?.seen()).toMatchObject({ isDiscarded: true, isEnded: false, callbacks: ['discard'] })
    })

    test('an on_discard that Postgres refused at the end of the batch is enqueued later, once', async () => {
      const scene = await Scene.enqueue(world, { good: [] })
      {
        await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob] })
        await scene.settled()
      }
      await refused(() => scene.batch.add(scene.member('late', 'fail')))
      expect(await scene.seen()).toMatchObject({ isDiscarded: false, callbacks: ['success', 'finish'] })
      expect(await sweep()).toMatchObject({ healed: 1 })
      expect(await sweep()).toMatchObject({ healed: 0 })
      expect(await scene.seen()).toMatchObject({ isDiscarded: true, callbacks: ['success', 'finish', 'discard'] })
    })

    test('a sweep leaves a batch with a failed member alone until the batch has been quiet, as another process may be about to discard it', async () => {
      const scene = await Scene.enqueue(world, { bad: { startsIn: 3600 }, waits: { startsIn: 3600 } })
      await rubyPerform(world, scene.id('bad'), 'RuntimeError: no')
      const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()
      await world.sql('UPDATE good_job_batches SET updated_at = $1', [minutesAgo(20)])
      expect(await sweep({ graceMs: 300_000 })).toMatchObject({ healed: 0 })
      await world.sql('UPDATE good_jobs SET finished_at = $1 WHERE finished_at IS NOT NULL', [minutesAgo(10)])
      expect(await sweep({ graceMs: 300_000 })).toMatchObject({ healed: 1 })
      // The Ruby process that was held up finds the batch discarded.
      await rubyBookkeeping(world, scene.batch.id, { isDiscarded: true, hasJobsFinishedAt })
      expect(await scene.seen()).toMatchObject({ isDiscarded: true, callbacks: ['discard'] })
    })

    test('a batch whose discard was cleared by a retry stays undiscarded while its members are retried', async () => {
      const scene = await Scene.enqueue(world, { bad: { startsIn: 3600 }, waits: { startsIn: 3600 } })
      await rubyPerform(world, scene.id('bad'), 'RuntimeError: no')
      await rubyBookkeeping(world, scene.batch.id, { isDiscarded: true, hasJobsFinishedAt })
      await world.sql('UPDATE good_job_batches SET discarded_at = NULL, updated_at = $1', [new Date().toISOString()])
      expect(await sweep()).toMatchObject({ healed: 0 })
      expect(await scene.seen()).toMatchObject({ isDiscarded: false, callbacks: ['discard'] })
    })

    test('a batch that Ruby completed as succeeded despite a failed member is not discarded afterwards', async () => {
      const scene = await Scene.enqueue(world, { good: { startsIn: 3600 }, bad: { startsIn: 3600 } })
      await rubyPerform(world, scene.id('bad'), 'RuntimeError: no')
      await rubyPerform(world, scene.id('good'))
      await rubyBookkeeping(world, scene.batch.id, { hasJobsFinishedAt })
      await sweep()
      const { isDiscarded, callbacks } = await scene.seen()
      expect({ isDiscarded, callbacks: callbacks.toSorted() }).toEqual({
        isDiscarded: false,
        callbacks: ['finish', 'success'],
      })
    })

    test('a member discarded manually in Ruby counts when the batch ends, and not before', async () => {
      const scene = await Scene.enqueue(world, { bad: { startsIn: 3600 }, waits: { startsIn: 3600 } })
      await rubyDiscard(world, scene.id('bad'))
      expect(await sweep()).toMatchObject({ healed: 0 })
      await rubyPerform(world, scene.id('waits'))
      expect(await sweep()).toMatchObject({ healed: 1 })
      expect(await scene.seen()).toMatchObject({ isDiscarded: true, callbacks: ['discard', 'finish'] })
    })

    test('a change between the first query and the lock is seen under the lock', async () => {
      const scene = await Scene.enqueue(world, { bad: { startsIn: 3600 }, waits: { startsIn: 3600 } })
      await rubyPerform(world, scene.id('bad'), 'RuntimeError: no')
      const facts = await world.adapter.database.facts()
      const quietSince = new Date(Date.now() + 1_000).toISOString()
      const createdAfter = new Date(Date.now() - 3_600_000).toISOString()
      const found = await findOwedDiscards(world.pool, facts, { createdAfter, quietSince })
      expect(found).toEqual([{ id: scene.batch.id, description: null, memberId: scene.id('bad') }])
      const [owed] = found
      if (owed === undefined) throw new Error('nothing was found')
      expect(await findBrokenAt(world.pool, facts, owed, quietSince)).toMatch(/^\d{4}-.*Z$/)
      await rubyRetry(world, scene.id('bad'), { isForRuby: true })
      expect(await findBrokenAt(world.pool, facts, owed, quietSince)).toBeUndefined()
    })
  })
}
