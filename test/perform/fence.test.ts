import { afterAll, beforeEach, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import type { Job, JobConstructor } from '../../src/job/base.ts'
import type { Outcome, OutcomeWrite } from '../../src/perform/outcome/outcome.ts'
import { writeOutcomes } from '../../src/perform/outcome/transaction.ts'
import { claimAll, outcomeOf, writeContext } from '../batch/outcomes.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed } from '../support/harness.ts'
import { noLocks } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches'))

const EchoJob = jobClass('EchoJob', () => {})
const CallbackJob = jobClass('CallbackJob', () => {})
const make = (made: JobConstructor): Job => new (made as new () => Job)()

test.each<OutcomeWrite>(['finish', 'delete', 'rerun', 'reenqueue'])(
  'an outcome (%s) of an earlier claim does not overwrite a newer claim of the same process',
  async (write) => {
    const id = await enqueue(EchoJob)
    const client = await world.database.connect()
    const { rows, now, processId } = await claimAll(world, client, ['EchoJob'])
    // The row was released and claimed again, with the stamp of that claim.
    const [claimedAgain] = await world.sql<{ locked_at: Date }>(
      `UPDATE good_jobs SET locked_at = locked_at + interval '1 second' WHERE id = $1 RETURNING locked_at`,
      [id],
    )
    const of = rows.map((row) =>
      outcomeOf(row, now, world.adapter.clock.timestamp(), 'StandardError: of the first claim'),
    )
    const outcomes: Outcome[] = of.map((outcome) => ({
      ...outcome,
      write,
      columns: { ...outcome.columns, serializedParams: '{}', queueName: 'elsewhere' },
    }))
    const settlement = await writeOutcomes(client, outcomes, await writeContext(world, processId))
    await client.end()
    expect([...settlement.values()]).toEqual(['lost'])
    expect(await world.job(id)).toMatchObject({
      finished_at: null,
      error: null,
      queue_name: 'default',
      locked_by_id: processId,
      locked_at: claimedAgain?.locked_at,
    })
  },
)

test('a failed member whose outcome was committed without an answer discards its batch once, also if the batch recovers meanwhile', async () => {
  await using network = await FaultyNetwork.start(world.url)
  const secondRun = new Gate()
  const MemberJob = jobClass('MemberJob', async (job) => {
    const [attempts] = await world.sql<{ count: number }>(
      'SELECT count(*)::int AS count FROM good_job_executions WHERE active_job_id = $1',
      [job.jobId],
    )
    if (attempts?.count === 1) throw new Error('once')
    await secondRun.pass(job)
  })
  await using _capsule = await world.start({
    jobs: [MemberJob, CallbackJob],
    databaseUrl: network.url,
    shutdownTimeout: 1,
  })
  const committed = network.loseAnswer('GoodJob::Completer', /COMMIT(?!TED)/)
  const job = make(MemberJob)
  const batch = await Batch.enqueue({ onDiscard: CallbackJob, onSuccess: CallbackJob }, job)
  await committed
  network.refuse()
  network.cut()
  // By then the server has detected the end of the lane session.
  await noLocks(world)
  expect(await batch.reload()).toMatchObject({ isDiscarded: true })
  await batch.retry()
  expect(await batch.reload()).toMatchObject({ isDiscarded: false })
  const repeated = next('perform_job', 1, ({ jobId, outcome }) => jobId === job.jobId && outcome === 'unhandled')
  await network.accept()
  await repeated
  await secondRun.entered
  const done = performed(job.jobId)
  secondRun.open()
  await done
  const events = (await batch.status()).callbacks.map(({ event }) => event).toSorted()
  expect(events).toEqual(['discard', 'success'])
})

test('the last outcome of a batch, committed without an answer and repeated, fires on_success and on_finish once', async () => {
  await using network = await FaultyNetwork.start(world.url)
  const gate = new Gate()
  const MemberJob = jobClass('MemberJob', (job) => gate.pass(job))
  await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob], databaseUrl: network.url })
  const job = make(MemberJob)
  const callbacks = { onDiscard: CallbackJob, onSuccess: CallbackJob, onFinish: CallbackJob }
  const batch = await Batch.enqueue(callbacks, job)
  await gate.entered
  const committed = network.loseAnswer('GoodJob::Completer', /COMMIT(?!TED)/)
  const failed = next('outcome_write_failed')
  const repeated = next('perform_job', 1, ({ jobId }) => jobId === job.jobId)
  const ended = next('perform_job', 2, ({ jobClass: name }) => name === 'CallbackJob')
  gate.open()
  await committed
  await failed
  expect((await repeated)[0]).toMatchObject({ outcome: 'succeeded' })
  await ended
  await noLocks(world)
  const { callbacks: given } = await batch.status()
  expect(given.map(({ event }) => event).toSorted()).toEqual(['finish', 'success'])
  expect(await world.executions(job.jobId)).toHaveLength(1)
  expect(await batch.reload()).toMatchObject({ isDiscarded: false, isSucceeded: true })
})
