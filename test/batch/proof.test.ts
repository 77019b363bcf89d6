import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { record } from '../support/harness.ts'
import { rubyBookkeeping, rubyPerform, rubyRetry } from './as-ruby.ts'
import { batchWorld, Scene } from './scene.ts'

for (const hasJobsFinishedAt of [true, false]) {
  describe(`with${hasJobsFinishedAt ? '' : 'out'} the column jobs_finished_at`, () => {
    const world = batchWorld({ hasJobsFinishedAt, worker: { threads: 10 } })
    beforeEach(() => world.sql(`DELETE FROM good_job_processes WHERE state->>'hostname' = 'ruby'`))

    /** A discarded batch whose broken members Ruby has retried and performed, so that nothing but the proof is missing. */
    const retriedInRuby = async (...names: string[]): Promise<Scene> => {
      const scene = await Scene.enqueue(world, Object.fromEntries(names.map((name) => [name, ['fail'] as const])))
      await scene.settled()
      for (const name of names) await rubyRetry(world, scene.id(name), { isForRuby: true })
      for (const name of names) await rubyPerform(world, scene.id(name))
      return scene
    }

    const recover = async (scene: Scene, options: { adapter?: Adapter; force?: boolean; dryRun?: boolean } = {}) => {
      const { adapter = world.adapter, ...rest } = options
      return (await Batch.find(scene.batch.id, adapter)).recover(rest)
    }

    const liveProcess = (state: object, options: { age?: number; lockType?: number | null } = {}) =>
      world.sql(
        `INSERT INTO good_job_processes (id, created_at, updated_at, state, lock_type)
         VALUES ($1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC' - make_interval(secs => $3), $2, $4)`,
        [randomUUID(), { hostname: 'ruby', pid: 7, ...state }, options.age ?? 0, options.lockType ?? null],
      )

    test('a batch with a complete proof recovers, and a second call changes nothing', async () => {
      const scene = await retriedInRuby('bad')
      expect(await recover(scene)).toMatchObject({ outcome: 'recovered', callbacks: [{ event: 'success' }] })
      expect(await recover(scene)).toMatchObject({ outcome: 'nothing', callbacks: [] })
      expect(await scene.settled()).toMatchObject({ isDiscarded: false, callbacks: ['discard', 'finish', 'success'] })
    })

    test('a dry run returns what would happen and writes nothing', async () => {
      const scene = await retriedInRuby('bad')
      const recovered = record('batch_recovered')
      expect(await recover(scene, { dryRun: true })).toMatchObject({ outcome: 'recovered' })
      recovered.stop()
      expect(recovered.seen).toEqual([])
      expect(await scene.settled()).toMatchObject({ isDiscarded: true, callbacks: ['discard', 'finish'] })
    })

    const refused = async (scene: Scene, reason: RegExp, options: { adapter?: Adapter } = {}) => {
      const result = await recover(scene, options)
      expect(result).toMatchObject({ outcome: 'unproven', callbacks: [] })
      expect(result.reason).toMatch(reason)
      expect(await scene.settled()).toMatchObject({ isDiscarded: true, callbacks: ['discard', 'finish'] })
      const unsure = await Batch.find(scene.batch.id, options.adapter ?? world.adapter)
      expect((await unsure.status()).recovery).toMatchObject({ state: 'unproven', reason: result.reason })
    }

    test('the job that discarded the batch was deleted: recovery is refused', async () => {
      const scene = await retriedInRuby('first', 'second')
      const [row] = await world.sql<{ id: string }>(
        `SELECT active_job_id AS id FROM good_job_executions JOIN good_job_batches ON good_job_batches.id = $1
         WHERE active_job_id = ANY ($2) AND good_job_executions.finished_at = discarded_at`,
        [scene.batch.id, Object.values(scene.jobs)],
      )
      await world.sql('DELETE FROM good_jobs WHERE id = $1', [row?.id])
      await world.sql(
        `UPDATE good_job_executions SET finished_at = finished_at - interval '1 hour'
        WHERE active_job_id = ANY ($1) AND error IS NOT NULL`,
        [Object.values(scene.jobs)],
      )
      await refused(scene, /the job whose attempt discarded the batch is gone/)
    })

    test('no member has succeeded since: recovery is refused', async () => {
      const scene = await Scene.enqueue(world, { good: [], bad: ['fail'] })
      await scene.settled()
      await world.sql('DELETE FROM good_jobs WHERE id = $1', [scene.id('bad')])
      await refused(scene, /no member succeeded/)
    })

    test('the only success began before the batch was discarded: recovery is refused', async () => {
      const scene = await Scene.enqueue(world, { bad: ['fail'] })
      await scene.settled()
      await rubyRetry(world, scene.id('bad'), { isForRuby: true })
      await rubyPerform(world, scene.id('bad'))
      // As one that ran beside it, which has the count of before the retry.
      await world.sql(
        `UPDATE good_job_executions SET created_at = created_at - interval '1 hour', serialized_params = serialized_params || '{"executions":0}'
         WHERE active_job_id = $1 AND error IS NULL`,
        [scene.id('bad')],
      )
      await refused(scene, /no member succeeded/)
    })

    for (const preserve of [false, 'false', 'on_unhandled_error', null] as const) {
      const isAllowed = preserve === null
      test(`a live process with preserve_job_records ${JSON.stringify(preserve)} ${isAllowed ? 'does not prevent the recovery' : 'prevents the recovery and is named'}`, async () => {
        await liveProcess({ preserve_job_records: preserve })
        const scene = await retriedInRuby('bad')
        if (!isAllowed) return refused(scene, /process ruby:7 \([0-9a-f-]+\) deletes finished jobs/)
        expect(await recover(scene)).toMatchObject({ outcome: 'recovered' })
        await scene.settled()
      })
    }

    test('a process without a heartbeat for five minutes does not count as one that deletes jobs', async () => {
      await liveProcess({ preserve_job_records: false }, { age: 301 })
      const scene = await retriedInRuby('bad')
      expect(await recover(scene)).toMatchObject({ outcome: 'recovered' })
      await scene.settled()
    })

    test('a process row without its advisory lock does not count as a process that deletes jobs', async () => {
      await liveProcess({ preserve_job_records: false }, { lockType: 0 })
      const scene = await retriedInRuby('bad')
      expect(await recover(scene)).toMatchObject({ outcome: 'recovered' })
      await scene.settled()
    })

    test('this process deletes finished jobs: recovery is refused', async () => {
      const adapter = new Adapter({ database: world.adapter.database, preserveJobRecords: false })
      await refused(await retriedInRuby('bad'), /this process deletes finished jobs/, { adapter })
    })

    test('the batch is older than the cleanup interval: recovery is refused, unless the cleanup keeps discarded jobs', async () => {
      const scene = await retriedInRuby('bad')
      await world.sql(`UPDATE good_job_batches SET created_at = created_at - interval '15 days' WHERE id = $1`, [
        scene.batch.id,
      ])
      await refused(scene, /older than the 1209600 s/)
      const keeping = new Adapter({ database: world.adapter.database, cleanupDiscardedJobs: false })
      expect(await recover(scene, { adapter: keeping })).toMatchObject({ outcome: 'recovered' })
      await scene.settled()
    })

    test('force recovers without a proof, once', async () => {
      await liveProcess({ preserve_job_records: false })
      const scene = await retriedInRuby('bad')
      expect(await recover(scene, { force: true, dryRun: true })).toMatchObject({ outcome: 'recovered' })
      expect(await recover(scene, { force: true })).toMatchObject({ outcome: 'recovered' })
      expect(await recover(scene, { force: true })).toMatchObject({ outcome: 'nothing' })
      expect(await scene.settled()).toMatchObject({ isDiscarded: false, callbacks: ['discard', 'finish', 'success'] })
    })

    test('force never recovers a batch with a failed or unfinished member', async () => {
      const scene = await Scene.enqueue(world, { bad: ['fail'] })
      await scene.settled()
      expect(await recover(scene, { force: true })).toMatchObject({
        outcome: 'nothing',
        reason: expect.stringMatching(/retry them/),
      })
      await rubyRetry(world, scene.id('bad'), { isForRuby: true })
      expect(await recover(scene, { force: true })).toMatchObject({
        outcome: 'nothing',
        reason: expect.stringMatching(/have not ended yet/),
      })
      expect(await scene.settled()).toMatchObject({ isDiscarded: true, callbacks: ['discard', 'finish'] })
    })

    test('an on_success that Ruby fired too early is reported and not fired again', async () => {
      const scene = await Scene.enqueue(world, { good: { startsIn: 3600 }, bad: { startsIn: 3600 } })
      // Both have written their outcome before either checks the batch.
      await rubyPerform(world, scene.id('good'))
      await rubyPerform(world, scene.id('bad'), 'RuntimeError: no')
      await rubyBookkeeping(world, scene.batch.id, { hasJobsFinishedAt })
      await rubyBookkeeping(world, scene.batch.id, { isDiscarded: true, hasJobsFinishedAt })
      expect((await scene.settled()).callbacks.toSorted()).toEqual(['discard', 'finish', 'success'])
      expect((await scene.batch.status()).recovery.state).toBe('false_success')
      scene.let('bad', 'ok')
      await world.adapter.retryJob(scene.id('bad'))
      const recovered = record('batch_recovered')
      const seen = await scene.settled()
      recovered.stop()
      expect(seen).toMatchObject({ isDiscarded: false, isEnded: true, isFinished: true })
      expect(seen.callbacks.toSorted()).toEqual(['discard', 'finish', 'success'])
      expect(recovered.seen).toMatchObject([{ batchId: scene.batch.id, isFalseSuccess: true }])
    })

    test('an on_success callback that was retried manually still counts as fired', async () => {
      const scene = await retriedInRuby('bad')
      await recover(scene)
      await scene.settled()
      await world.sql(`UPDATE good_jobs SET error = 'RuntimeError: no' WHERE batch_callback_id = $1`, [scene.batch.id])
      const callbacks = await world.sql<{ id: string }>('SELECT id FROM good_jobs WHERE batch_callback_id = $1', [
        scene.batch.id,
      ])
      for (const { id } of callbacks) await world.adapter.retryJob(id)
      await scene.settled()
      const late = scene.member('late', 'fail')
      await scene.batch.add(late)
      await scene.settled()
      await world.adapter.retryJob(late.jobId)
      expect((await scene.settled()).callbacks.toSorted()).toEqual(['discard', 'discard', 'finish', 'success'])
    })
  })
}
