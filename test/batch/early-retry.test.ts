import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import type { World } from '../support/harness.ts'
import { rubyBookkeeping, rubyDiscard, rubyPerform, rubyRetry } from './as-ruby.ts'
import { openBatchWorld, Scene } from './scene.ts'

const LATER = { startsIn: 3600 } as const
const BROKEN = 'RuntimeError: no'

/**
 * Ruby writes the outcome of a member first and stamps the batch in a second transaction, so that a retry in between starts before
 * the batch is discarded. No worker runs here: all is written as Ruby writes it, and then somebody looks.
 */
for (const hasJobsFinishedAt of [true, false]) {
  describe(`with${hasJobsFinishedAt ? '' : 'out'} the column jobs_finished_at`, () => {
    let world: World

    beforeAll(async () => {
      world = await openBatchWorld({ hasJobsFinishedAt })
    })
    afterAll(() => world.close())

    const enqueue = (...names: string[]) => Scene.enqueue(world, Object.fromEntries(names.map((name) => [name, LATER])))
    const perform = (scene: Scene, name: string, error: string | null = null) =>
      rubyPerform(world, scene.id(name), error)
    const retry = (scene: Scene, name: string) => rubyRetry(world, scene.id(name), { isForRuby: true })
    const stamp = (scene: Scene) => rubyBookkeeping(world, scene.batch.id, { isDiscarded: true, hasJobsFinishedAt })
    const destroy = (scene: Scene, name: string) => world.sql('DELETE FROM good_jobs WHERE id = $1', [scene.id(name)])
    /** The time of the last attempt of a member, moved; negative seconds are earlier. */
    const moveLast = (scene: Scene, name: string, seconds: number) =>
      world.sql(
        `UPDATE good_job_executions SET created_at = created_at + make_interval(secs => $2), finished_at = finished_at + make_interval(secs => $2)
         WHERE id = (SELECT id FROM good_job_executions WHERE active_job_id = $1 ORDER BY created_at DESC LIMIT 1)`,
        [scene.id(name), seconds],
      )
    /** The job waits again, as after an attempt that did not end it. */
    const waitsAgain = async (scene: Scene, name: string, errorEvent: number): Promise<void> => {
      await world.sql('UPDATE good_jobs SET finished_at = NULL, performed_at = NULL, error_event = $2 WHERE id = $1', [
        scene.id(name),
        errorEvent,
      ])
      await world.sql('UPDATE good_job_executions SET error_event = $2 WHERE active_job_id = $1', [
        scene.id(name),
        errorEvent,
      ])
    }

    const recover = async (scene: Scene) => (await Batch.find(scene.batch.id, world.adapter)).recover()
    const isRefused = async (scene: Scene, reason: RegExp) => {
      const result = await recover(scene)
      expect(result).toMatchObject({ outcome: 'unproven', callbacks: [] })
      expect(result.reason).toMatch(reason)
      const { isDiscarded, callbacks } = await scene.seen()
      expect(isDiscarded).toBe(true)
      expect(callbacks).not.toContain('success')
    }

    test('the member that broke the batch succeeds in an attempt from before the stamp: the batch comes back', async () => {
      const scene = await enqueue('bad', 'good')
      await perform(scene, 'bad', BROKEN)
      await retry(scene, 'bad')
      await perform(scene, 'bad')
      await stamp(scene)
      expect(await scene.seen()).toMatchObject({ isDiscarded: true, isEnded: false })
      await perform(scene, 'good')
      await rubyBookkeeping(world, scene.batch.id, { hasJobsFinishedAt })
      expect(await recover(scene)).toMatchObject({ outcome: 'recovered', callbacks: [{ event: 'success' }] })
      expect((await scene.seen()).callbacks.toSorted()).toEqual(['discard', 'finish', 'success'])
      expect(await recover(scene)).toMatchObject({ outcome: 'nothing' })
    })

    test('on_success came before the late stamp: the batch comes back without a second one', async () => {
      const scene = await enqueue('bad')
      await perform(scene, 'bad', BROKEN)
      await retry(scene, 'bad')
      await perform(scene, 'bad')
      await rubyBookkeeping(world, scene.batch.id, { hasJobsFinishedAt })
      await stamp(scene)
      expect(await scene.seen()).toMatchObject({ isDiscarded: true })
      expect(await recover(scene)).toMatchObject({ outcome: 'recovered', callbacks: [] })
      const { isDiscarded, callbacks } = await scene.seen()
      expect(isDiscarded).toBe(false)
      expect(callbacks.toSorted()).toEqual(['discard', 'finish', 'success'])
    })

    test('two workers ran the member at the same time, and both attempts broke: it comes back', async () => {
      const scene = await enqueue('bad')
      await perform(scene, 'bad', BROKEN)
      await perform(scene, 'bad', BROKEN)
      await stamp(scene)
      // The first ends while the second runs, and stamps the batch before the second ends.
      await world.sql(
        `UPDATE good_job_executions SET created_at = discarded_at + shift.from_ms * interval '1 ms', finished_at = discarded_at + shift.to_ms * interval '1 ms'
         FROM good_job_batches AS batch, (VALUES (1, -50, -10), (2, -20, 30)) AS shift(place, from_ms, to_ms),
           (SELECT id, row_number() OVER (ORDER BY created_at) AS place FROM good_job_executions WHERE active_job_id = $1) AS attempt
         WHERE batch.id = $2 AND attempt.place = shift.place AND good_job_executions.id = attempt.id`,
        [scene.id('bad'), scene.batch.id],
      )
      await retry(scene, 'bad')
      await perform(scene, 'bad')
      expect(await recover(scene)).toMatchObject({ outcome: 'recovered', callbacks: [{ event: 'success' }] })
    })

    test('another member succeeded then, and the one that broke is gone: refused', async () => {
      const scene = await enqueue('bad', 'good')
      await perform(scene, 'bad', BROKEN)
      await perform(scene, 'good')
      await stamp(scene)
      await destroy(scene, 'bad')
      await isRefused(scene, /no member succeeded/)
    })

    test('a member broke and was mended longer ago, and the one that broke the batch is gone: refused', async () => {
      const scene = await enqueue('first', 'bad')
      await perform(scene, 'first', BROKEN)
      await moveLast(scene, 'first', -6)
      await retry(scene, 'first')
      await perform(scene, 'first')
      await perform(scene, 'bad', BROKEN)
      await stamp(scene)
      await destroy(scene, 'bad')
      await isRefused(scene, /no member succeeded/)
    })

    test('a member broke the batch and was mended before it was retried and broken by one that is gone: refused', async () => {
      const scene = await enqueue('first', 'bad')
      await perform(scene, 'first', BROKEN)
      await stamp(scene)
      await world.sql('UPDATE good_job_batches SET discarded_at = NULL WHERE id = $1', [scene.batch.id])
      await retry(scene, 'first')
      await perform(scene, 'first')
      await perform(scene, 'bad', BROKEN)
      await stamp(scene)
      await destroy(scene, 'bad')
      await isRefused(scene, /no member succeeded/)
    })

    const UNBROKEN = [
      ['was interrupted', 0],
      ['failed with an unhandled error and ran again at once', 1],
      ['was retried by its own retry_on', 3],
    ] as const
    for (const [what, errorEvent] of UNBROKEN) {
      for (const when of ['before', 'after'] as const) {
        test(`a member ${what}, and succeeded ${when} one that is gone broke the batch: refused`, async () => {
          const scene = await enqueue('other', 'bad')
          await perform(scene, 'other', BROKEN)
          await waitsAgain(scene, 'other', errorEvent)
          if (when === 'before') await perform(scene, 'other')
          await perform(scene, 'bad', BROKEN)
          await stamp(scene)
          await destroy(scene, 'bad')
          if (when === 'after') await perform(scene, 'other')
          await rubyBookkeeping(world, scene.batch.id, { hasJobsFinishedAt })
          await isRefused(scene, when === 'before' ? /no member succeeded/ : /is gone/)
        })
      }
    }

    test('the attempt that succeeded began before the one that broke the batch had ended: refused', async () => {
      const scene = await enqueue('bad', 'good')
      await perform(scene, 'bad', BROKEN)
      // Two workers ran it at the same time: nobody has retried it, so both attempts have one count.
      await world.sql('UPDATE good_jobs SET finished_at = NULL, performed_at = NULL WHERE id = $1', [scene.id('bad')])
      await perform(scene, 'bad')
      await moveLast(scene, 'bad', -1)
      await perform(scene, 'good')
      await stamp(scene)
      await isRefused(scene, /no member succeeded/)
    })

    test('a member was discarded by hand without an attempt and is gone, the others succeeded before: refused', async () => {
      const scene = await enqueue('good', 'later')
      await perform(scene, 'good')
      await world.adapter.discardJob(scene.id('later'))
      await destroy(scene, 'later')
      await isRefused(scene, /no member succeeded/)
    })

    test('a member discarded by hand in Ruby is gone, another broke and was mended before: refused', async () => {
      const scene = await enqueue('bad', 'later')
      await perform(scene, 'bad', BROKEN)
      await moveLast(scene, 'bad', -6)
      await retry(scene, 'bad')
      await perform(scene, 'bad')
      await rubyDiscard(world, scene.id('later'))
      // Nobody had stamped the batch: the check that ends it takes the time of the discard by hand.
      expect(await recover(scene)).toMatchObject({ outcome: 'completed' })
      await destroy(scene, 'later')
      await isRefused(scene, /no member succeeded/)
    })
  })
}
