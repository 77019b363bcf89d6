import { afterAll, beforeAll, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { checkOptionsOf } from '../../src/batch/context.ts'
import { writeOutcomes } from '../../src/perform/outcome/transaction.ts'
import { batchLockKey } from '../../src/sql/advisory-lock.ts'
import { record, type World } from '../support/harness.ts'
import { rubyPerform } from './as-ruby.ts'
import { claimAll, outcomeOf } from './outcomes.ts'
import { CallbackJob, MemberJob, openBatchWorld, Scene, sweepOf } from './scene.ts'

let world: World
beforeAll(async () => {
  world = await openBatchWorld()
})
afterAll(() => world.close())

const sweep = () => sweepOf(world)

/** A batch whose last member ended in a process that died before it checked the batch. */
const hungBatch = async (): Promise<Scene> => {
  const scene = await Scene.enqueue(world, { only: { startsIn: 3600 } }, { onFinish: 'FarAwayJob' })
  await rubyPerform(world, scene.id('only'))
  return scene
}

test('a batch locked by another session does not keep the sweep from the other batches', async () => {
  const [held, free] = [await hungBatch(), await hungBatch()]
  const holder = await world.database.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT pg_advisory_xact_lock($1)', [batchLockKey(held.batch.id)])
  expect(await sweep()).toMatchObject({ healed: 1, isDone: true })
  expect((await free.seen()).isEnded).toBe(true)
  expect((await held.seen()).isEnded).toBe(false)
  await holder.query('COMMIT')
  await holder.end()
  await sweep()
  expect((await held.seen()).isEnded).toBe(true)
})

test('a batch that Postgres refuses to change is reported by its id, and the sweep completes the others', async () => {
  const [refused, healthy] = [await hungBatch(), await hungBatch()]
  await world.sql(
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this batch'; END $$`,
  )
  await world.sql(
    `CREATE TRIGGER refuse BEFORE UPDATE ON good_job_batches FOR EACH ROW WHEN (OLD.id = '${refused.batch.id}') EXECUTE FUNCTION refuse()`,
  )
  const errors = record('batch_check_refused')
  expect(await sweep()).toMatchObject({ healed: 1, isDone: true })
  errors.stop()
  expect(errors.seen).toMatchObject([{ batchId: refused.batch.id, error: { message: 'not this batch' } }])
  expect((await healthy.seen()).isEnded).toBe(true)
  await world.sql('DROP TRIGGER refuse ON good_job_batches')
  await sweep()
  expect((await refused.seen()).isEnded).toBe(true)
})

test('a job enqueued after its batch block has ended is not lost', async () => {
  let goOn: () => void = () => {}
  const blockEnded = new Promise<void>((resolve) => {
    goOn = resolve
  })
  let late: Promise<unknown> = Promise.resolve()
  const batch = await Batch.enqueue({}, async () => {
    await MemberJob.set({ wait: 3600 }).performLater('in time')
    late = blockEnded.then(() => MemberJob.set({ wait: 3600 }).performLater('late'))
  })
  goOn()
  await late
  const rows = await world.sql(`SELECT batch_id FROM good_jobs WHERE serialized_params->'arguments'->>0 = 'late'`)
  expect(rows).toEqual([{ batch_id: batch.id }])
})

test('an outcome that is written twice because its answer was lost does not discard its batch again', async () => {
  const scene = await Scene.enqueue(world, { bad: ['ok'] })
  const db = await world.database.connect()
  const facts = await world.adapter.database.facts()
  const { rows, now, processId } = await claimAll(world, db, ['MemberJob'])
  const [row] = rows
  if (row === undefined) throw new Error('nothing was claimed')
  expect(row.id).toBe(scene.id('bad'))
  const outcome = outcomeOf(row, now, world.adapter.clock.timestamp(), 'Error: no')
  const context = { facts, processId, keepsCreatedAt: false, notifies: true, check: checkOptionsOf(world.adapter) }
  expect((await writeOutcomes(db, [outcome], context)).get(outcome)).toBe('written')
  await db.end()

  await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob] })
  await scene.settled()
  await world.adapter.retryJob(scene.id('bad'))
  const healed = await scene.settled()
  expect(healed).toMatchObject({ isDiscarded: false, callbacks: ['discard', 'finish', 'success'] })
  const again = await world.database.connect()
  expect((await writeOutcomes(again, [outcome], context)).get(outcome)).toBe('written')
  await again.end()
  expect(await scene.settled()).toEqual(healed)
})

test('a batch id that is no UUID counts as a batch that does not exist', async () => {
  await expect(Batch.find('nonsense')).rejects.toThrow(/there is no batch nonsense/)
})

test('a callback class whose queueAs throws does not fail the member that ends the batch', async () => {
  class PickyCallback extends CallbackJob {
    static override queueAs = (job: { arguments: readonly unknown[] }) => (job.arguments[0] as { id: string }).id
  }
  await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob, PickyCallback] })
  const scene = await Scene.enqueue(world, { good: [] }, { onSuccess: PickyCallback })
  expect(await scene.settled()).toMatchObject({ isDiscarded: false, isFinished: true, callbacks: ['success'] })
  expect(await world.job(scene.id('good'))).toMatchObject({ error: null })
})

test('the callback of an empty batch goes to the queue of its class, also without a worker in this process', async () => {
  class QueuedCallback extends CallbackJob {
    static override queueAs = 'callbacks'
    static override priority = 7
  }
  const batch = await Batch.enqueue({ onSuccess: QueuedCallback })
  expect(
    await world.sql('SELECT queue_name, priority FROM good_jobs WHERE batch_callback_id = $1', [batch.id]),
  ).toEqual([{ queue_name: 'callbacks', priority: 7 }])
})
