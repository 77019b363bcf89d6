import { describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { rubyBookkeeping, rubyDiscard, rubyPerform, rubyRetry } from './as-ruby.ts'
import { batchWorld, Scene } from './scene.ts'

const LATER = { startsIn: 3600 } as const
const BROKEN = 'RuntimeError: no'

/**
 * Ruby writes the outcome of a member first and stamps the batch in a second transaction, so that a retry in between starts before
 * the batch is discarded. No worker runs here: the tests write every row as Ruby writes it, and then check the batch.
 */
for (const hasJobsFinishedAt of [true, false]) {
  describe(`with${hasJobsFinishedAt ? '' : 'out'} the column jobs_finished_at`, () => {
    const world = batchWorld({ hasJobsFinishedAt })

    const enqueue = (...names: string[]) => Scene.enqueue(world, Object.fromEntries(names.map((name) => [name, LATER])))
    const perform = (scene: Scene, name: string, error: string | null = null) =>
      rubyPerform(world, scene.id(name), error)
    const retryAndSucceed = async (scene: Scene, name: string) => {
      await rubyRetry(world, scene.id(name), { isForRuby: true })
      await perform(scene, name)
    }
    const stamp = (scene: Scene) => rubyBookkeeping(world, scene.batch.id, { isDiscarded: true, hasJobsFinishedAt })
    const destroy = (scene: Scene, name: string) => world.sql('DELETE FROM good_jobs WHERE id = $1', [scene.id(name)])
    /** Moves the times of a member's last attempt; negative seconds move them into the past. */
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

    test('the member that discarded the batch succeeds in an attempt that began before discarded_at: the batch recovers', async () => {
      const scene = await enqueue('bad', 'good')
      await perform(scene, 'bad', BROKEN)
      await retryAndSucceed(scene, 'bad')
      await stamp(scene)
      expect(await scene.seen()).toMatchObject({ isDiscarded: true, isEnded: false })
      await perform(scene, 'good')
      await rubyBookkeeping(world, scene.batch.id, { hasJobsFinishedAt })
      expect(await recover(scene)).toMatchObject({ outcome: 'recovered', callbacks: [{ event: 'success' }] })
      expect((await scene.seen()).callbacks.toSorted()).toEqual(['discard', 'finish', 'success'])
      expect(await recover(scene)).toMatchObject({ outcome: 'nothing' })
    })

    test('on_success was enqueued before the late discarded_at: the batch recovers without a second on_success', async () => {
      const scene = await enqueue('bad')
      await perform(scene, 'bad', BROKEN)
      await retryAndSucceed(scene, 'bad')
      await rubyBookkeeping(world, scene.batch.id, { hasJobsFinishedAt })
      await stamp(scene)
      expect(await scene.seen()).toMatchObject({ isDiscarded: true })
      expect(await recover(scene)).toMatchObject({ outcome: 'recovered', callbacks: [] })
      const { isDiscarded, callbacks } = await scene.seen()
      expect(isDiscarded).toBe(false)
      expect(callbacks.toSorted()).toEqual(['discard', 'finish', 'success'])
    })

    test('two workers ran the member at the same time, and both attempts failed: its batch recovers after the retry', async () => {
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
      await retryAndSucceed(scene, 'bad')
      expect(await recover(scene)).toMatchObject({ outcome: 'recovered', callbacks: [{ event: 'success' }] })
    })

    test('another member succeeded at that time, and the failed member was deleted: recovery is refused', async () => {
      const scene = await enqueue('bad', 'good')
      await perform(scene, 'bad', BROKEN)
      await perform(scene, 'good')
      await stamp(scene)
      await destroy(scene, 'bad')
      await isRefused(scene, /no member succeeded/)
    })

    test('a member failed and recovered long before, and the member that discarded the batch was deleted: recovery is refused', async () => {
      const scene = await enqueue('first', 'bad')
      await perform(scene, 'first', BROKEN)
      await moveLast(scene, 'first', -6)
      await retryAndSucceed(scene, 'first')
      await perform(scene, 'bad', BROKEN)
      await stamp(scene)
      await destroy(scene, 'bad')
      await isRefused(scene, /no member succeeded/)
    })

    test('a member discarded the batch and recovered, then a deleted member discarded the batch again after a retry: recovery is refused', async () => {
      const scene = await enqueue('first', 'bad')
      await perform(scene, 'first', BROKEN)
      await stamp(scene)
      await world.sql('UPDATE good_job_batches SET discarded_at = NULL WHERE id = $1', [scene.batch.id])
      await retryAndSucceed(scene, 'first')
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
        test(`a member ${what}, and succeeded ${when} a deleted member discarded the batch: recovery is refused`, async () => {
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

    test('the successful attempt began before the attempt that discarded the batch had ended: recovery is refused', async () => {
      const scene = await enqueue('bad', 'good')
      await perform(scene, 'bad', BROKEN)
      // Two workers ran the job at the same time. It was not retried, so both attempts have the same count.
      await world.sql('UPDATE good_jobs SET finished_at = NULL, performed_at = NULL WHERE id = $1', [scene.id('bad')])
      await perform(scene, 'bad')
      await moveLast(scene, 'bad', -1)
      await perform(scene, 'good')
      await stamp(scene)
      await isRefused(scene, /no member succeeded/)
    })

    test('a member was discarded manually without an attempt and deleted, the others succeeded before: recovery is refused', async () => {
      const scene = await enqueue('good', 'later')
      await perform(scene, 'good')
      await world.adapter.discardJob(scene.id('later'))
      await destroy(scene, 'later')
      await isRefused(scene, /no member succeeded/)
    })

    test('a member discarded manually in Ruby was deleted, another failed and recovered before: recovery is refused', async () => {
      const scene = await enqueue('bad', 'later')
      await perform(scene, 'bad', BROKEN)
      await moveLast(scene, 'bad', -6)
      await retryAndSucceed(scene, 'bad')
      await rubyDiscard(world, scene.id('later'))
      // The batch had no discarded_at: the check that completes it takes the time of the manual discard.
      expect(await recover(scene)).toMatchObject({ outcome: 'completed' })
      await destroy(scene, 'later')
      await isRefused(scene, /no member succeeded/)
    })
  })
}
