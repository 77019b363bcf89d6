import { beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { batchLockKey } from '../../src/sql/advisory-lock.ts'
import { record } from '../support/harness.ts'
import { rubyBookkeeping } from './as-ruby.ts'
import { batchWorld, CallbackJob, MemberJob, Scene, sweepOf } from './scene.ts'

// compat/batch-late-stamp.test.ts has the same from a real Ruby process that is held up.
for (const hasJobsFinishedAt of [true, false]) {
  describe(`with${hasJobsFinishedAt ? '' : 'out'} the column jobs_finished_at, a recovered batch that Ruby then discards for its old failure`, () => {
    const world = batchWorld({ hasJobsFinishedAt })
    beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches'))

    const discardedLate = async (): Promise<Scene> => {
      const scene = await Scene.enqueue(world, { bad: ['fail'] })
      const capsule = await world.start({ jobs: [MemberJob, CallbackJob] })
      await scene.settled()
      await world.adapter.retryJob(scene.id('bad'))
      expect(await scene.settled()).toMatchObject({ isDiscarded: false, callbacks: ['discard', 'finish', 'success'] })
      await capsule.shutdown()
      await rubyBookkeeping(world, scene.batch.id, { isDiscarded: true, hasJobsFinishedAt })
      expect(await scene.seen()).toMatchObject({ isDiscarded: true })
      return scene
    }
    const sweep = () => sweepOf(world, { endedSince: new Date(0).toISOString() })
    const status = async (scene: Scene) => (await Batch.find(scene.batch.id, world.adapter)).status()

    test('recovers again without a callback, and its success is not reported as false', async () => {
      const scene = await discardedLate()
      expect((await status(scene)).recovery).toMatchObject({ state: 'recoverable' })
      const [accused, recovered] = [record('batch_false_success'), record('batch_recovered')]
      expect(await sweep()).toMatchObject({ healed: 1, unproven: 0 })
      accused.stop()
      recovered.stop()
      expect(accused.seen).toEqual([])
      expect(recovered.seen).toMatchObject([{ batchId: scene.batch.id, isFalseSuccess: false }])
      const callbacks = ['discard', 'discard', 'finish', 'success']
      const seen = await scene.seen()
      expect({ ...seen, callbacks: seen.callbacks.toSorted() }).toMatchObject({ isDiscarded: false, callbacks })
    })

    test('whose lock another session has, is not reported until it can be checked', async () => {
      const scene = await discardedLate()
      const holder = await world.pool.connect()
      const accused = record('batch_false_success')
      try {
        await holder.query('SELECT pg_advisory_lock($1::bigint)', [batchLockKey(scene.batch.id)])
        expect(await sweep()).toMatchObject({ healed: 0, unproven: 0 })
        await holder.query('SELECT pg_advisory_unlock($1::bigint)', [batchLockKey(scene.batch.id)])
      } finally {
        holder.release(true)
      }
      expect(await sweep()).toMatchObject({ healed: 1, unproven: 0 })
      accused.stop()
      expect(accused.seen).toEqual([])
    })

    test('stays as it is when a member ended after the success callback: a deleted member may have discarded it', async () => {
      const scene = await discardedLate()
      await world.sql(
        `UPDATE good_jobs SET finished_at = (SELECT max(created_at) + interval '1 second' FROM good_jobs WHERE batch_callback_id = $2) WHERE id = $1`,
        [scene.id('bad'), scene.batch.id],
      )
      expect(await sweep()).toMatchObject({ healed: 0, unproven: 1 })
      expect(await scene.seen()).toMatchObject({ isDiscarded: true })
    })

    test('stays as it is when the success callback came after the discard', async () => {
      const scene = await discardedLate()
      await world.sql(
        `UPDATE good_job_batches SET discarded_at = (
           SELECT min(created_at) - interval '1 millisecond' FROM good_jobs
           WHERE batch_callback_id = $1 AND serialized_params #>> '{arguments,1,event,value}' = 'success'
         ) WHERE id = $1`,
        [scene.batch.id],
      )
      expect(await sweep()).toMatchObject({ healed: 0, unproven: 1 })
    })
  })
}
