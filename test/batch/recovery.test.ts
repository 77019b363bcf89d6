import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BatchUnprovenError, RecordAlreadyAdvisoryLockedError } from '../../src/errors.ts'
import { jobLockKey } from '../../src/sql/advisory-lock.ts'
import type { Capsule } from '../../src/worker/capsule.ts'
import { inTurn } from '../support/clean-up.ts'
import type { World } from '../support/harness.ts'
import { rubyDiscard, rubyRetry } from './as-ruby.ts'
import { ALL_CALLBACKS, CallbackJob, Gate, MemberJob, openBatchWorld, Scene } from './scene.ts'

const GOOD = { isDiscarded: false, isEnded: true, isFinished: true }
const DISCARDED = { isDiscarded: true, isEnded: true, isFinished: true }

for (const hasJobsFinishedAt of [true, false]) {
  describe(`with${hasJobsFinishedAt ? '' : 'out'} the column jobs_finished_at`, () => {
    let world: World
    let capsule: Capsule

    beforeAll(async () => {
      world = await openBatchWorld({ hasJobsFinishedAt })
      capsule = await world.start({ jobs: [MemberJob, CallbackJob], threads: 20 })
    })
    afterAll(
      inTurn(
        () => capsule.shutdown(),
        () => world.close(),
      ),
    )

    const discardedScene = async () => {
      const scene = await Scene.enqueue(world, { good: [], bad: ['fail'] })
      expect(await scene.settled()).toEqual({ ...DISCARDED, callbacks: ['discard', 'finish'] })
      return scene
    }

    test('a batch whose members succeed fires success and finish, and is finished after its callbacks [GJ-065, GJ-072]', async () => {
      const scene = await Scene.enqueue(world, { a: [], b: [] })
      expect(await scene.settled()).toEqual({ ...GOOD, callbacks: ['success', 'finish'] })
    })

    test('row 0: the one discarded job is retried and succeeds: the batch recovers [GJ-071]', async () => {
      const scene = await discardedScene()
      await world.adapter.retryJob(scene.id('bad'))
      expect(await scene.settled()).toEqual({ ...GOOD, callbacks: ['discard', 'finish', 'success'] })
    })

    test('row 0 with on_finish allowed to fire again: the recovery fires it a second time', async () => {
      const scene = await Scene.enqueue(world, { bad: ['fail'] })
      await scene.settled()
      await capsule.shutdown()
      capsule = await world.start({ jobs: [MemberJob, CallbackJob], threads: 20, refireFinish: true })
      await world.adapter.retryJob(scene.id('bad'))
      const { callbacks } = await scene.settled()
      expect(callbacks.toSorted()).toEqual(['discard', 'finish', 'finish', 'success'])
      await capsule.shutdown()
      capsule = await world.start({ jobs: [MemberJob, CallbackJob], threads: 20 })
    })

    test('a retried job makes its batch unfinished until it has ended', async () => {
      const scene = await discardedScene()
      const gate = new Gate()
      scene.let('bad', { gate, ends: 'fail' })
      await world.adapter.retryJob(scene.id('bad'))
      await gate.entered
      expect(await scene.seen()).toMatchObject({ isDiscarded: true, isEnded: true, isFinished: !hasJobsFinishedAt })
      gate.open()
      expect(await scene.settled()).toEqual({ ...DISCARDED, callbacks: ['discard', 'finish'] })
    })

    for (const [who, discard] of [
      ['the adapter', (scene: Scene, name: string) => world.adapter.discardJob(scene.id(name))],
      ['the batch', (scene: Scene) => scene.batch.discard()],
    ] as const) {
      test(`row a: the last unfinished job is discarded by ${who}: the batch completes as discarded`, async () => {
        const scene = await Scene.enqueue(world, { good: [], late: { startsIn: 3600 } })
        await scene.settled()
        await discard(scene, 'late')
        expect(await scene.settled()).toEqual({ ...DISCARDED, callbacks: ['discard', 'finish'] })
        scene.let('late', 'ok')
        await world.adapter.retryJob(scene.id('late'))
        expect(await scene.settled()).toEqual({ ...GOOD, callbacks: ['discard', 'finish', 'success'] })
      })
    }

    test('row b: the discarded job is retried while others still run: the batch ends succeeded', async () => {
      const gate = new Gate()
      const scene = await Scene.enqueue(world, { bad: ['fail'], slow: [{ gate, ends: 'ok' }] })
      await scene.ended('bad')
      await world.adapter.retryJob(scene.id('bad'))
      await scene.ended('bad')
      expect(await scene.seen()).toMatchObject({ isDiscarded: true, isEnded: false, isFinished: false })
      gate.open()
      const seen = await scene.settled()
      expect(seen).toMatchObject(GOOD)
      expect(seen.callbacks).toEqual(['discard', 'success', 'finish'])
    })

    test('row c: several discarded jobs are retried one by one: the last success recovers the batch', async () => {
      const scene = await Scene.enqueue(world, { a: ['fail'], b: ['fail'], c: ['fail'], good: [] })
      await scene.settled()
      for (const name of ['b', 'a']) {
        await world.adapter.retryJob(scene.id(name))
        expect(await scene.settled()).toEqual({ ...DISCARDED, callbacks: ['discard', 'finish'] })
      }
      await world.adapter.retryJob(scene.id('c'))
      expect(await scene.settled()).toEqual({ ...GOOD, callbacks: ['discard', 'finish', 'success'] })
    })

    test('row d: the retried batch fails again, then a single retry succeeds', async () => {
      const scene = await Scene.enqueue(world, { good: [], bad: ['fail', 'fail'] })
      await scene.settled()
      expect(await scene.batch.retry()).toEqual({ retriedJobIds: [scene.id('bad')], recovery: undefined })
      expect(await scene.settled()).toMatchObject(DISCARDED)
      await world.adapter.retryJob(scene.id('bad'))
      const seen = await scene.settled()
      expect(seen).toMatchObject(GOOD)
      expect(seen.callbacks.toSorted()).toEqual(['discard', 'discard', 'finish', 'finish', 'success'])
    })

    test('row f: a batch retry after the discarded row was deleted is refused, unless it is forced [GJ-071]', async () => {
      const scene = await Scene.enqueue(world, { good: [], bad: ['fail'] })
      await scene.settled()
      await world.sql('DELETE FROM good_jobs WHERE id = $1', [scene.id('bad')])
      const { retriedJobIds, recovery } = await scene.batch.retry()
      expect(retriedJobIds).toEqual([])
      expect(recovery).toMatchObject({ outcome: 'unproven', callbacks: [] })
      expect(await scene.settled()).toEqual({ ...DISCARDED, callbacks: ['discard', 'finish'] })
      const forced = await scene.batch.retry({ force: true })
      expect(forced.recovery).toMatchObject({ outcome: 'recovered', callbacks: [{ event: 'success' }] })
      expect(await scene.settled()).toEqual({ ...GOOD, callbacks: ['discard', 'finish', 'success'] })
    })

    test('row f: a batch retry after one discarded row was deleted, while another discarded job is left', async () => {
      const scene = await Scene.enqueue(world, { first: ['fail'], late: { startsIn: 3600 } })
      await scene.settled()
      await world.sql(`UPDATE good_job_batches SET discarded_at = discarded_at - interval '1 minute' WHERE id = $1`, [
        scene.batch.id,
      ])
      scene.let('late', 'fail')
      await world.sql(`UPDATE good_jobs SET scheduled_at = created_at WHERE id = $1`, [scene.id('late')])
      await world.sql(`SELECT pg_notify('good_job', '{}')`)
      await scene.ended('late')
      await world.sql('DELETE FROM good_jobs WHERE id = $1', [scene.id('first')])
      await expect(scene.batch.retry()).rejects.toThrow(BatchUnprovenError)
      expect(await scene.settled()).toMatchObject(DISCARDED)
      expect((await scene.batch.retry({ force: true })).retriedJobIds).toEqual([scene.id('late')])
      expect(await scene.settled()).toMatchObject(GOOD)
    })

    test('a batch is not retried while another session holds the lock of a discarded member', async () => {
      const scene = await Scene.enqueue(world, { good: [], bad: ['fail'] })
      await scene.settled()
      const other = await world.pool.connect()
      try {
        await other.query('SELECT pg_advisory_lock($1)', [jobLockKey(scene.id('bad'))])
        await expect(scene.batch.retry()).rejects.toThrow(RecordAlreadyAdvisoryLockedError)
        expect(await scene.seen()).toMatchObject(DISCARDED)
      } finally {
        await other.query('SELECT pg_advisory_unlock_all()')
        other.release()
      }
      expect((await scene.batch.retry()).retriedJobIds).toEqual([scene.id('bad')])
      expect(await scene.settled()).toMatchObject(GOOD)
    })

    test('a batch whose job was discarded manually can be retried while that job waits again, and after it failed', async () => {
      const scene = await Scene.enqueue(world, { late: { startsIn: 3600 }, bad: ['fail'] })
      await world.adapter.discardJob(scene.id('late'))
      await scene.settled()
      scene.let('late', 'fail')
      await world.adapter.retryJob(scene.id('late'))
      await scene.settled()
      expect((await scene.batch.retry()).retriedJobIds.toSorted()).toEqual(Object.values(scene.jobs).toSorted())
      expect(await scene.settled()).toMatchObject(GOOD)
    })

    test('row g: one of several is discarded manually and the others succeed: the batch completes as discarded', async () => {
      const gate = new Gate()
      const scene = await Scene.enqueue(world, { slow: [{ gate, ends: 'ok' }], late: { startsIn: 3600 } })
      await world.adapter.discardJob(scene.id('late'))
      const atOnce = await scene.seen()
      gate.open()
      expect(atOnce).toMatchObject({ isDiscarded: true, isEnded: false, isFinished: false })
      expect(await scene.settled()).toEqual({ ...DISCARDED, callbacks: ['discard', 'finish'] })
      await world.adapter.retryJob(scene.id('late'))
      expect(await scene.settled()).toEqual({ ...GOOD, callbacks: ['discard', 'finish', 'success'] })
    })

    test('row g: a member that was interrupted and then retried is discarded manually while it waits for that retry', async () => {
      const gate = new Gate()
      const scene = await Scene.enqueue(world, { slow: [{ gate, ends: 'ok' }], late: { startsIn: 3600 } })
      const id = scene.id('late')
      // An attempt that its worker's death cut off does not raise the count of executions; one that was retried does.
      for (const [event, error] of [
        [0, 'GoodJob::InterruptedError: Interrupted'],
        [3, 'Hiccup: x'],
      ] as const) {
        await world.sql(
          `INSERT INTO good_job_executions (active_job_id, created_at, updated_at, finished_at, error, error_event, serialized_params)
           SELECT id, created_at + $2 * interval '1 ms', updated_at, created_at, $3, $2, serialized_params FROM good_jobs WHERE id = $1`,
          [id, event, error],
        )
      }
      await world.sql(
        `UPDATE good_jobs SET executions_count = 2, serialized_params = serialized_params || '{"executions": 1}' WHERE id = $1`,
        [id],
      )
      await world.adapter.discardJob(id)
      gate.open()
      expect(await scene.settled()).toEqual({ ...DISCARDED, callbacks: ['discard', 'finish'] })
      await world.adapter.retryJob(id)
      expect(await scene.settled()).toEqual({ ...GOOD, callbacks: ['discard', 'finish', 'success'] })
    })

    test('row g with a discard from the dashboard: the last successful member completes the batch as discarded', async () => {
      const gate = new Gate()
      const scene = await Scene.enqueue(world, { slow: [{ gate, ends: 'ok' }], late: { startsIn: 3600 } })
      await rubyDiscard(world, scene.id('late'))
      gate.open()
      expect(await scene.settled()).toEqual({ ...DISCARDED, callbacks: ['discard', 'finish'] })
      await rubyRetry(world, scene.id('late'))
      expect(await scene.settled()).toEqual({ ...GOOD, callbacks: ['discard', 'finish', 'success'] })
    })

    test('row k: the discarded member and the last successful one end at the same moment: on_success never fires', async () => {
      for (let round = 0; round < 20; round++) {
        const [a, b] = [new Gate(), new Gate()]
        const scene = await Scene.enqueue(world, { good: [{ gate: a, ends: 'ok' }], bad: [{ gate: b, ends: 'fail' }] })
        await Promise.all([a.entered, b.entered])
        for (const gate of round % 2 === 0 ? [a, b] : [b, a]) gate.open()
        expect(await scene.settled()).toEqual({ ...DISCARDED, callbacks: ['discard', 'finish'] })
      }
    })

    for (const [who, discard] of [
      ['the adapter', (scene: Scene) => world.adapter.forceDiscardJob(scene.id('slow'))],
      ['the dashboard', (scene: Scene) => rubyDiscard(world, scene.id('slow'), 'Force discarded through dashboard')],
      ['the batch', (scene: Scene) => scene.batch.discard()],
    ] as const) {
      test(`row l: ${who} force-discards a running member whose perform then succeeds: the discard stands`, async () => {
        const gate = new Gate()
        const scene = await Scene.enqueue(world, { slow: [{ gate, ends: 'ok' }], good: [] })
        await gate.entered
        await discard(scene)
        gate.open()
        const seen = await scene.settled()
        await capsuleIsIdle(capsule, scene.id('slow'))
        expect((await world.job(scene.id('slow'))).error).toMatch(/^GoodJob::Job::DiscardJobError: /)
        expect(seen).toMatchObject({ callbacks: ['discard', 'finish'] })
        expect(await scene.settled()).toEqual({ ...DISCARDED, callbacks: ['discard', 'finish'] })
      })
    }

    test('row m: a callback adds the next stage after a discard: on_success never fires while a member is failed', async () => {
      const scene = await Scene.enqueue(world, { bad: ['fail'] })
      await scene.settled()
      await scene.batch.enqueue(scene.member('second', 'ok'))
      const seen = await scene.settled()
      expect(seen).toMatchObject(DISCARDED)
      expect(seen.callbacks).toEqual(['discard', 'finish', 'finish'])
      await world.adapter.retryJob(scene.id('bad'))
      const healed = await scene.settled()
      expect(healed).toMatchObject(GOOD)
      expect(healed.callbacks).toEqual(['discard', 'finish', 'finish', 'success'])
    })

    test('a stage that recovers right after the success of the previous stage fires its own on_success', async () => {
      const scene = await Scene.enqueue(world, { first: [] })
      expect((await scene.settled()).callbacks).toEqual(['success', 'finish'])
      const second = scene.member('second', 'fail')
      await scene.batch.enqueue(second)
      expect(await scene.settled()).toMatchObject(DISCARDED)
      await world.adapter.retryJob(second.jobId)
      const seen = await scene.settled()
      expect(seen).toMatchObject(GOOD)
      expect(seen.callbacks.toSorted()).toEqual(['discard', 'finish', 'finish', 'success', 'success'])
    })

    test('row i: a callback class that is not registered in this process is enqueued by its name [GJ-067]', async () => {
      const scene = await Scene.enqueue(world, { good: [] }, { ...ALL_CALLBACKS, onSuccess: 'Billing::ReceiptJob' })
      await scene.ended('good')
      const [row] = await world.sql('SELECT * FROM good_jobs WHERE batch_callback_id = $1 AND job_class = $2', [
        scene.batch.id,
        'Billing::ReceiptJob',
      ])
      expect(row).toMatchObject({ finished_at: null, queue_name: 'default', batch_id: null, priority: 0 })
      expect(await scene.seen()).toMatchObject({ isDiscarded: false, isEnded: true, isFinished: !hasJobsFinishedAt })
      await world.sql('DELETE FROM good_jobs WHERE batch_callback_id = $1', [scene.batch.id])
    })
  })
}

/** Resolves when `perform` of this job has ended and its outcome was dropped. */
const capsuleIsIdle = async (capsule: Capsule, jobId: string): Promise<void> => {
  while (capsule.activeJobIds.includes(jobId)) await new Promise((resolve) => setImmediate(resolve))
}
