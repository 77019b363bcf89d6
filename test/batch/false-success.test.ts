import { beforeEach, describe, expect, test } from 'vitest'
import { ToldOnce } from '../../src/batch/completion/told-once.ts'
import { checkOptionsOf } from '../../src/batch/context.ts'
import { next, record } from '../support/harness.ts'
import { rubyBookkeeping, rubyDiscard, rubyPerform, rubyRetry } from './as-ruby.ts'
import { batchWorld, CallbackJob, MemberJob, Scene, sweepOf } from './scene.ts'

for (const hasJobsFinishedAt of [true, false]) {
  describe(`with${hasJobsFinishedAt ? '' : 'out'} the column jobs_finished_at`, () => {
    const world = batchWorld({ hasJobsFinishedAt })
    beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches'))

    const sweep = async (told: ToldOnce, endedSince?: string): Promise<string[]> => {
      const reports = record('batch_false_success')
      await sweepOf(world, {
        check: { ...checkOptionsOf(world.adapter), told },
        ...(endedSince === undefined ? {} : { endedSince }),
      })
      reports.stop()
      return reports.seen.map(({ batchId }) => batchId)
    }

    test('a sweep reports a false success once if a member was discarded manually and the batch ended since', async () => {
      const scene = await Scene.enqueue(world, { good: { startsIn: 3600 }, bad: { startsIn: 3600 } })
      const fine = await Scene.enqueue(world, { good: { startsIn: 3600 } })
      await rubyDiscard(world, scene.id('bad'))
      for (const one of [scene, fine]) {
        await rubyPerform(world, one.id('good'))
        await rubyBookkeeping(world, one.batch.id, { hasJobsFinishedAt })
      }
      const { isDiscarded, callbacks } = await scene.seen()
      expect({ isDiscarded, callbacks: callbacks.toSorted() }).toEqual({
        isDiscarded: false,
        callbacks: ['finish', 'success'],
      })
      // As after the callbacks: now nothing is left to do for the batch.
      await world.sql(`UPDATE good_job_batches SET finished_at = clock_timestamp() AT TIME ZONE 'UTC'`)
      const told = new ToldOnce()
      const earlier = new Date(Date.now() - 60_000).toISOString()
      expect(await sweep(told)).toEqual([])
      expect(await sweep(told, new Date(Date.now() + 60_000).toISOString())).toEqual([])
      expect(await sweep(told, earlier)).toEqual([scene.batch.id])
      expect(await sweep(told, earlier)).toEqual([])
    })

    test('a worker reports at its start a false success that Ruby fired before', async () => {
      const scene = await Scene.enqueue(world, { good: { startsIn: 3600 }, bad: { startsIn: 3600 } })
      await rubyDiscard(world, scene.id('bad'))
      await rubyPerform(world, scene.id('good'))
      await rubyBookkeeping(world, scene.batch.id, { hasJobsFinishedAt })
      const reported = next('batch_false_success', 1, ({ batchId }) => batchId === scene.batch.id)
      await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob], batchSweepInterval: 60 })
      await reported
    })

    test('a sweep reports a false success once while a member is still failed, and does not fire on_success again after the recovery', async () => {
      const scene = await Scene.enqueue(world, { good: { startsIn: 3600 }, bad: { startsIn: 3600 } })
      const plain = await Scene.enqueue(world, { only: { startsIn: 3600 } })
      await rubyPerform(world, plain.id('only'), 'RuntimeError: no')
      await rubyBookkeeping(world, plain.batch.id, { isDiscarded: true, hasJobsFinishedAt })
      // Both members have written their outcome before either checks the batch.
      await rubyPerform(world, scene.id('good'))
      await rubyPerform(world, scene.id('bad'), 'RuntimeError: no')
      await rubyBookkeeping(world, scene.batch.id, { hasJobsFinishedAt })
      await rubyBookkeeping(world, scene.batch.id, { isDiscarded: true, hasJobsFinishedAt })

      const reported = new ToldOnce()
      expect(await sweep(reported)).toEqual([scene.batch.id])
      expect(await sweep(reported)).toEqual([])
      expect(await sweep(new ToldOnce())).toEqual([scene.batch.id])

      await rubyRetry(world, scene.id('bad'), { isForRuby: true })
      await rubyPerform(world, scene.id('bad'))
      expect(await sweep(reported)).toEqual([])
      await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob] })
      const seen = await scene.settled()
      expect(seen.isDiscarded).toBe(false)
      expect(seen.callbacks.toSorted()).toEqual(['discard', 'finish', 'success'])
    })
  })
}
