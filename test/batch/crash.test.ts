import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { Job } from '../../src/job/base.ts'
import { CrashProxy } from '../support/crash-proxy.ts'
import type { World } from '../support/harness.ts'
import { ALL_CALLBACKS, CallbackJob, openBatchWorld, untilSettled } from './scene.ts'

/** The same class as in fixtures/crash-worker.mjs. */
class CrashMemberJob extends Job<[name: string]> {
  perform(name: string): void {
    if (name === 'bad' && this.executions === 1) throw new Error('bad fails once')
  }
}

/** Every statement of the transaction in which an outcome and its check are written. */
const POINTS: Readonly<Record<string, RegExp>> = {
  BEGIN: /BEGIN/,
  'the batch lock': /pg_advisory_xact_lock/,
  'the outcome': /finish_jobs_/,
  'the reading of the batch': /batch_states_/,
  'the reading of its history': /has_success_since/,
  'the times of the batch': /write_batch_times_/,
  'the callback jobs': /insert_jobs_/,
  COMMIT: /COMMIT(?!TED)/,
}

let world: World
beforeAll(async () => {
  world = await openBatchWorld()
})
afterAll(() => world.close())

const enqueueBatch = (...names: string[]): Promise<Batch> =>
  new Batch(ALL_CALLBACKS, world.adapter).enqueue(names.map((name) => new CrashMemberJob(name)))

/** Runs everything that is due. */
const work = async (batch: Batch, jobs: readonly (typeof CrashMemberJob | typeof CallbackJob)[]): Promise<void> => {
  await using _capsule = await world.start({ jobs: [...jobs] })
  await untilSettled(world, batch.id)
}

/** A worker process that dies at the point; resolves when it is gone. */
const crash = async (when: 'before' | 'after', statement: RegExp): Promise<void> => {
  await using proxy = await CrashProxy.start(world.url, { when, statement })
  const child = spawn(process.execPath, [new URL('../fixtures/crash-worker.mjs', import.meta.url).pathname], {
    env: { ...process.env, WORKER_OPTIONS: JSON.stringify({ databaseUrl: proxy.url, batchSweepInterval: 0 }) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  proxy.onCrash(() => child.kill('SIGKILL'))
  const [, signal] = await once(child, 'exit')
  expect(signal).toBe('SIGKILL')
  // Five minutes later the heartbeat of the process has expired.
  await world.sql(`UPDATE good_job_processes SET updated_at = updated_at - interval '10 minutes'`)
}

const callbacksOf = async (batch: Batch): Promise<string[]> =>
  (await batch.status()).callbacks.map(({ event }) => event).toSorted()

for (const when of ['before', 'after'] as const) {
  describe(`kill -9 ${when}`, () => {
    for (const [point, statement] of Object.entries(POINTS)) {
      test(`${point}, while a batch recovers: after the restart it ends as if nothing had happened`, async () => {
        const batch = await enqueueBatch('good', 'bad')
        await work(batch, [CrashMemberJob, CallbackJob])
        await batch.reload()
        expect(batch).toMatchObject({ isDiscarded: true, isFinished: true })
        const [bad] = await world.sql<{ id: string }>(
          'SELECT id FROM good_jobs WHERE batch_id = $1 AND error IS NOT NULL',
          [batch.id],
        )
        await world.adapter.retryJob(bad?.id ?? '')
        await crash(when, statement)
        await work(batch, [CrashMemberJob, CallbackJob])
        await batch.reload()
        expect(batch).toMatchObject({ isDiscarded: false, isFinished: true })
        expect(await callbacksOf(batch)).toEqual(['discard', 'finish', 'success'])
      })

      // A batch that was never discarded has no history to read.
      if (point === 'the reading of its history') continue
      test(`${point}, while a batch completes: after the restart it ends as if nothing had happened`, async () => {
        const batch = await enqueueBatch('good')
        await crash(when, statement)
        await work(batch, [CrashMemberJob, CallbackJob])
        await batch.reload()
        expect(batch).toMatchObject({ isDiscarded: false, isFinished: true })
        expect(await callbacksOf(batch)).toEqual(['finish', 'success'])
      })

      test(`${point}, while a batch is discarded: after the restart it ends as if nothing had happened`, async () => {
        const batch = await enqueueBatch('bad')
        await crash(when, statement)
        await work(batch, [CrashMemberJob, CallbackJob])
        await batch.reload()
        expect(batch).toMatchObject({ isDiscarded: true, isFinished: true })
        expect(await callbacksOf(batch)).toEqual(['discard', 'finish'])
      })
    }
  })
}
