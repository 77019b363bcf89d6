import { afterAll, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { createClock } from '../../src/time.ts'
import { inTurn } from '../support/clean-up.ts'
import { onHost, rubyBookkeeping, rubyDiscard, rubyPerform, rubyRetry } from './as-ruby.ts'
import { CallbackJob, MemberJob, openBatchWorld, Scene } from './scene.ts'

const world = await openBatchWorld()
afterAll(inTurn(() => world.close()))

const WAITS = { startsIn: 3600 }
const recover = async (scene: Scene) => (await Batch.find(scene.batch.id, world.adapter)).recover()

/** A member fails on a Ruby host whose clock is `ahead` seconds ahead, and that host then discards the batch. */
const failsInRuby = (scene: Scene, name: string, aheadSeconds: number) =>
  onHost(aheadSeconds, async () => {
    await rubyPerform(world, scene.id(name), 'RuntimeError: no')
    await rubyBookkeeping(world, scene.batch.id, { isDiscarded: true })
  })
const succeedsInRuby = (scene: Scene, name: string, aheadSeconds: number) =>
  onHost(aheadSeconds, () => rubyPerform(world, scene.id(name)))
const isDeleted = (scene: Scene, name: string) => world.sql('DELETE FROM good_jobs WHERE id = $1', [scene.id(name)])

describe.each([-30, 30])('beside a host whose clock is %i seconds ahead', (ahead) => {
  test('a member that fails on one host and succeeds on the other recovers its batch', async () => {
    let scene: Scene
    {
      await using _first = await world.start({ jobs: [MemberJob, CallbackJob] })
      scene = await Scene.enqueue(world, { bad: ['fail', 'ok'], good: [] })
      await scene.settled()
    }
    const clock = createClock(ahead * 1000)
    await new Adapter({ database: world.adapter.database, clock }).retryJob(scene.id('bad'))
    await using _other = await world.start({ jobs: [MemberJob, CallbackJob], clock })
    const seen = await scene.settled()
    expect(seen).toMatchObject({ isDiscarded: false, isFinished: true })
    expect(seen.callbacks.toSorted()).toEqual(['discard', 'finish', 'success'])
  })

  test.each([
    ['fails', ahead, 0],
    ['succeeds', 0, ahead],
  ])(
    'a member that %s there, and otherwise ran on another Ruby host, recovers its batch',
    async (_what, fails, succeeds) => {
      const scene = await Scene.enqueue(world, { bad: WAITS })
      await failsInRuby(scene, 'bad', fails)
      await rubyRetry(world, scene.id('bad'), { isForRuby: true })
      await succeedsInRuby(scene, 'bad', succeeds)
      expect(await recover(scene)).toMatchObject({ outcome: 'recovered', callbacks: [{ event: 'success' }] })
      expect(await recover(scene)).toMatchObject({ outcome: 'nothing' })
    },
  )

  test('the success of another member on that host proves nothing for a deleted member', async () => {
    const scene = await Scene.enqueue(world, { good: WAITS, bad: WAITS })
    await succeedsInRuby(scene, 'good', ahead)
    await failsInRuby(scene, 'bad', 0)
    await isDeleted(scene, 'bad')
    expect(await recover(scene)).toMatchObject({ outcome: 'unproven' })
  })

  test('a member that discarded the batch once before proves nothing for a deleted member', async () => {
    const scene = await Scene.enqueue(world, { first: WAITS, second: WAITS })
    await failsInRuby(scene, 'first', 0)
    await rubyRetry(world, scene.id('first'), { isForRuby: true })
    await succeedsInRuby(scene, 'first', ahead)
    // The batch is not discarded any more while the other has not run: only existing members count.
    await world.sql('UPDATE good_job_batches SET discarded_at = NULL WHERE id = $1', [scene.batch.id])
    await failsInRuby(scene, 'second', 0)
    await isDeleted(scene, 'second')
    expect(await recover(scene)).toMatchObject({ outcome: 'unproven' })
  })

  test('a member that ran again after an unhandled error proves nothing for a deleted member', async () => {
    const scene = await Scene.enqueue(world, { again: WAITS, good: WAITS, bad: WAITS })
    await rubyPerform(world, scene.id('again'), 'RuntimeError: once more')
    await world.sql('UPDATE good_jobs SET finished_at = NULL, performed_at = NULL WHERE id = $1', [scene.id('again')])
    await succeedsInRuby(scene, 'again', -30)
    await failsInRuby(scene, 'bad', 0)
    await succeedsInRuby(scene, 'good', 30)
    await rubyBookkeeping(world, scene.batch.id)
    await isDeleted(scene, 'bad')
    expect(await recover(scene)).toMatchObject({ outcome: 'unproven' })
  })

  test('an on_success that Ruby fired too early is not fired again', async () => {
    const scene = await Scene.enqueue(world, { good: WAITS, bad: WAITS })
    await world.sql('UPDATE good_job_batches SET enqueued_at = enqueued_at + make_interval(secs => $2) WHERE id = $1', [
      scene.batch.id,
      ahead,
    ])
    await rubyPerform(world, scene.id('good'))
    await rubyPerform(world, scene.id('bad'), 'RuntimeError: no')
    await rubyBookkeeping(world, scene.batch.id)
    await rubyBookkeeping(world, scene.batch.id, { isDiscarded: true })
    await rubyRetry(world, scene.id('bad'), { isForRuby: true })
    await succeedsInRuby(scene, 'bad', ahead)
    expect(await recover(scene)).toMatchObject({ outcome: 'recovered', callbacks: [] })
  })

  // Only the times show which of several manual discards discarded the batch. In doubt the recovery is refused.
  test('the recovery after a manual discard and an immediate retry is proven unless the success seems older than the discard', async () => {
    const scene = await Scene.enqueue(world, { gone: WAITS })
    await rubyDiscard(world, scene.id('gone'))
    expect(await recover(scene)).toMatchObject({ outcome: 'completed' })
    await rubyRetry(world, scene.id('gone'), { isForRuby: true })
    await succeedsInRuby(scene, 'gone', ahead)
    expect(await recover(scene)).toMatchObject({ outcome: ahead > 0 ? 'recovered' : 'unproven' })
  })
})
