import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkOptionsOf } from '../../src/batch/context.ts'
import { sweepBatches } from '../../src/batch/sweep.ts'
import { record, type World } from '../support/harness.ts'
import { rubyBookkeeping, rubyPerform, rubyRetry } from './as-ruby.ts'
import { CallbackJob, MemberJob, openBatchWorld, Scene } from './scene.ts'

for (const hasJobsFinishedAt of [true, false]) {
  describe(`with${hasJobsFinishedAt ? '' : 'out'} the column jobs_finished_at`, () => {
    let world: World
    beforeAll(async () => {
      world = await openBatchWorld({ hasJobsFinishedAt })
    })
    afterAll(() => world.close())

    const sweep = async (reportedFalseSuccesses: Set<string>): Promise<string[]> => {
      const reports = record('batch_false_success')
      await sweepBatches({
        database: world.adapter.database,
        check: checkOptionsOf(world.adapter),
        processId: randomUUID(),
        windowSeconds: 3600,
        graceSeconds: -1,
        reportedFalseSuccesses,
      })
      reports.stop()
      return reports.seen.map(({ batchId }) => batchId)
    }

    test('the sweep reports it once while a member is still broken, and does not fire it again when none is', async () => {
      const scene = await Scene.enqueue(world, { good: { startsIn: 3600 }, bad: { startsIn: 3600 } })
      const plain = await Scene.enqueue(world, { only: { startsIn: 3600 } })
      await rubyPerform(world, plain.id('only'), 'RuntimeError: no')
      await rubyBookkeeping(world, plain.batch.id, { isDiscarded: true, hasJobsFinishedAt })
      // Both members have written their outcome before either looks at the batch.
      await rubyPerform(world, scene.id('good'))
      await rubyPerform(world, scene.id('bad'), 'RuntimeError: no')
      await rubyBookkeeping(world, scene.batch.id, { hasJobsFinishedAt })
      await rubyBookkeeping(world, scene.batch.id, { isDiscarded: true, hasJobsFinishedAt })

      const reported = new Set<string>()
      expect(await sweep(reported)).toEqual([scene.batch.id])
      expect(await sweep(reported)).toEqual([])
      expect(await sweep(new Set())).toEqual([scene.batch.id])

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
