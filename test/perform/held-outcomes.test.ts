import type pg from 'pg'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { checkOptionsOf } from '../../src/batch/context.ts'
import type { Job, JobConstructor } from '../../src/job/base.ts'
import { JobRegistry } from '../../src/job/definition/registry.ts'
import { Completer } from '../../src/perform/outcome/completer.ts'
import { batchLockKey } from '../../src/sql/advisory-lock.ts'
import { claimAll, outcomeOf } from '../batch/outcomes.ts'
import { jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'
import { noLocks } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches'))

const EchoJob = jobClass('EchoJob', () => {})
const CallbackJob = jobClass('CallbackJob', () => {})
const CALLBACKS = { onSuccess: CallbackJob, onFinish: CallbackJob, onDiscard: CallbackJob }
const make = (made: JobConstructor): Job => new (made as new () => Job)()

/** A class whose jobs wait in `perform` for `open`, and report their arrival. */
const gated = (name: string) => {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  let entered = 0
  const made = jobClass(name, async () => {
    entered += 1
    await opened
  })
  return { made, open: () => open(), entered: (count: number) => until(async () => entered >= count, `${count} run`) }
}

/** A transaction of another session that stays open. */
const openTransaction = async (work: (client: pg.Client) => Promise<unknown>) => {
  const client = await world.database.connect()
  await client.query('BEGIN')
  await work(client)
  return async () => {
    await client.query('COMMIT')
    await client.end()
  }
}

const lockBatch = (batch: Batch) => (client: pg.Client) =>
  client.query('SELECT pg_advisory_xact_lock($1::bigint)', [batchLockKey(batch.id)])

/** The outcome of a batch's one member is held, as its batch is locked until `commit()`. */
const holdOutcome = async ({ made, open, entered }: ReturnType<typeof gated>) => {
  const member = make(made)
  const batch = await Batch.enqueue(CALLBACKS, member)
  await entered(1)
  const commit = await openTransaction(lockBatch(batch))
  const held = next('outcome_held')
  open()
  await held
  return { member, batch, commit }
}

const isFinished = async (id: string) => (await world.job(id)).finished_at !== null

const completers = () =>
  world.sql(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'GoodJob::Completer' AND datname = current_database()`,
  )

/** Plain jobs run and end. */
const othersGoOn = async (count: number): Promise<void> => {
  const done = next('perform_job', count, ({ jobClass: name }) => name === 'EchoJob')
  await world.adapter.enqueueAll(Array.from({ length: count }, () => make(EchoJob)))
  await done
}

test("a caller's open transaction that adds jobs to a batch delays the outcomes of that batch, and no others", async () => {
  const { made: GateJob, open, entered } = gated('GateJob')
  await using _capsule = await world.start({ jobs: [GateJob, EchoJob, CallbackJob], threads: 5 })
  const members = [make(GateJob), make(GateJob)]
  const batch = await Batch.enqueue(CALLBACKS, members)
  await entered(2)
  const added = make(EchoJob)
  const commit = await openTransaction((client) => batch.add(added, { transaction: client }))
  const failures = record('outcome_write_failed')
  const held = next('outcome_held')
  open()
  expect((await held)[0]).toMatchObject({ lockedId: batch.id })
  await othersGoOn(40)
  const other = await Batch.enqueue(CALLBACKS, [make(EchoJob)])
  await until(async () => (await other.reload()).isFinished, 'another batch has finished')
  for (const { jobId } of members) expect(await isFinished(jobId)).toBe(false)

  const done = performed(...members.map(({ jobId }) => jobId), added.jobId)
  await commit()
  await done
  await until(async () => (await batch.reload()).isSucceeded, 'the batch has succeeded')
  expect((await batch.status()).callbacks.map(({ event }) => event).toSorted()).toEqual(['finish', 'success'])
  await until(async () => (await completers()).length === 1, 'the connection of the held outcomes is gone')
  expect(failures.seen).toEqual([])
  failures.stop()
})

test('only the outcome of a job that a caller makes a member waits, and the batch is checked when the job has ended', async () => {
  const { made: GateJob, open, entered } = gated('GateJob')
  await using _capsule = await world.start({ jobs: [GateJob, EchoJob, CallbackJob], threads: 5 })
  const job = (await make(GateJob).enqueue()) as Job
  await entered(1)
  const batch = new Batch(CALLBACKS)
  const commit = await openTransaction((client) => batch.enqueue(job, { transaction: client }))
  const held = next('outcome_held')
  open()
  expect((await held)[0]).toMatchObject({ lockedId: job.jobId, jobId: job.jobId })
  await othersGoOn(40)
  expect(await isFinished(job.jobId)).toBe(false)
  await commit()
  await until(async () => (await batch.reload()).isSucceeded, 'the batch has succeeded')
  expect((await batch.status()).callbacks.map(({ event }) => event).toSorted()).toEqual(['finish', 'success'])
})

test('the check of a batch that a running job joined waits for the lock of that batch; other outcomes do not', async () => {
  const { made: GateJob, open, entered } = gated('GateJob')
  await using _capsule = await world.start({ jobs: [GateJob, EchoJob, CallbackJob], threads: 5 })
  const job = (await make(GateJob).enqueue()) as Job
  await entered(1)
  const batch = await new Batch(CALLBACKS).enqueue(job)
  const commit = await openTransaction(lockBatch(batch))
  const held = next('outcome_held')
  open()
  expect((await held)[0]).toMatchObject({ lockedId: batch.id, jobId: job.jobId })
  await othersGoOn(40)
  expect(await batch.reload()).toMatchObject({ jobsFinishedAt: null })
  await commit()
  await until(async () => (await batch.reload()).isSucceeded, 'the batch has succeeded')
  expect((await batch.status()).callbacks.map(({ event }) => event).toSorted()).toEqual(['finish', 'success'])
})

test('the outcomes of each batch are written when its own lock is free, whatever happens to other batches', async () => {
  const { made: GateJob, open, entered } = gated('GateJob')
  await using _capsule = await world.start({ jobs: [GateJob, CallbackJob], threads: 10 })
  const batches = await Batch.enqueueAll(Array.from({ length: 6 }, () => [CALLBACKS, make(GateJob)] as const))
  await entered(6)
  const commits: (() => Promise<void>)[] = []
  for (const batch of batches) commits.push(await openTransaction(lockBatch(batch)))
  const held = next('outcome_held', 6)
  open()
  await held
  for (const [index, batch] of [...batches.entries()].toReversed()) {
    await commits[index]?.()
    await until(async () => (await batch.reload()).isSucceeded, `batch ${index} has succeeded`)
    for (const other of batches.slice(0, index)) expect(await other.reload()).toMatchObject({ jobsFinishedAt: null })
  }
})

test('a worker with more held outcomes than its threads and backlog still runs other jobs', async () => {
  const { made: GateJob, open, entered } = gated('GateJob')
  await using _capsule = await world.start({ jobs: [GateJob, EchoJob, CallbackJob], threads: 20 })
  const members = Array.from({ length: 300 }, () => make(GateJob))
  const batch = await Batch.enqueue(CALLBACKS, members)
  await entered(20)
  const commit = await openTransaction(lockBatch(batch))
  open()
  await entered(300)
  await othersGoOn(40)
  expect(
    (await world.sql('SELECT FROM good_jobs WHERE batch_id = $1 AND finished_at IS NULL', [batch.id])).length,
  ).toBe(300)
  await commit()
  await until(async () => (await batch.reload()).isSucceeded, 'the batch has succeeded')
})

test('held outcomes survive the loss of every connection that writes outcomes, and are written once', async () => {
  const gate = gated('GateJob')
  await using _capsule = await world.start({ jobs: [gate.made, EchoJob, CallbackJob], threads: 5 })
  const { member, commit } = await holdOutcome(gate)
  await until(async () => (await completers()).length === 2, 'the held outcome has a connection')
  const before = (await completers()).map(({ pid }) => pid)
  await world.sql('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [before])
  await othersGoOn(20)
  const isNew = ({ pid }: { readonly pid?: unknown }) => !before.includes(pid)
  await until(async () => (await completers()).filter(isNew).length === 2, 'both connections are new')
  const done = performed(member.jobId)
  await commit()
  expect((await done)[0]).toMatchObject({ outcome: 'succeeded' })
  expect(await world.executions(member.jobId)).toMatchObject([{ error: null }])
})

test('a worker that stops abandons held outcomes: their jobs run again', async () => {
  const gate = gated('GateJob')
  const first = await world.start({ jobs: [gate.made, CallbackJob], threads: 5, shutdownTimeout: 0 })
  const { member, batch, commit } = await holdOutcome(gate)
  await first.shutdown()
  expect(await isFinished(member.jobId)).toBe(false)
  await commit()
  await noLocks(world)
  await using _second = await world.start({ jobs: [gate.made, CallbackJob], threads: 5 })
  await until(async () => (await batch.reload()).isSucceeded, 'the batch has succeeded')
  expect(await world.job(member.jobId)).toMatchObject({ error: null, executions_count: 2 })
})

const completerOf = (processId: string): Completer =>
  new Completer({
    database: world.adapter.database,
    processId,
    keepsCreatedAt: false,
    notifies: false,
    check: checkOptionsOf(world.adapter, new JobRegistry()),
    onSetApart: () => {},
  })

test('of outcomes that are written together those with locked rows wait, the others are written, and none is lost', async () => {
  for (let priority = 1; priority <= 4; priority++) await world.insert({ priority })
  const lane = await world.database.connect()
  const { rows, now, processId } = await claimAll(world, lane, ['EchoJob'])
  const completer = completerOf(processId)
  const outcomes = rows.map((row) => outcomeOf(row, now, world.adapter.clock.timestamp()))
  const lockedId = outcomes[2]?.row.id ?? ''
  const release = await openTransaction((client) =>
    client.query('SELECT FROM good_jobs WHERE id = $1 FOR UPDATE', [lockedId]),
  )
  const held = next('outcome_held')
  // The first outcome is written alone, those that arrive meanwhile are written together.
  for (const outcome of outcomes) completer.complete(outcome)
  expect(await held).toMatchObject([{ lockedId }])
  for (const { row } of outcomes)
    if (row.id !== lockedId) await until(() => isFinished(row.id), 'the others are written')
  expect(await isFinished(lockedId)).toBe(false)
  await release()
  await completer.drained()
  expect(await isFinished(lockedId)).toBe(true)
  await completer.close()
  await lane.end()
})

test('an outcome that arrives at any moment while the completer becomes idle is written', async () => {
  const MOMENTS = 12
  for (let priority = 0; priority <= MOMENTS; priority++) await world.insert({ priority })
  const lane = await world.database.connect()
  const { rows, now, processId } = await claimAll(world, lane, ['EchoJob'])
  const completer = completerOf(processId)
  const outcomes = rows.map((row) => outcomeOf(row, now, world.adapter.clock.timestamp()))
  for (const [moment, outcome] of outcomes.entries()) {
    const following = outcomes[moment + 1]
    if (following === undefined) continue
    // One microtask later each time.
    const completeLater = async () => {
      for (let turn = 0; turn < moment; turn++) await undefined
      completer.complete(following)
    }
    Object.assign(outcome, { settled: () => void completeLater() })
  }
  const [first] = outcomes
  if (first) completer.complete(first)
  for (const { row } of outcomes) await until(() => isFinished(row.id), `priority ${row.priority} is written`)
  await completer.close()
  await lane.end()
})

test('an error inside the completer is emitted, loses no outcome, and the completer continues to write', async () => {
  const ids = [await world.insert({ priority: 1 }), await world.insert({ priority: 2 })]
  const lane = await world.database.connect()
  const { rows, now, processId } = await claimAll(world, lane, ['EchoJob'])
  const { adapter } = world
  const completer = new Completer({
    database: adapter.database,
    processId,
    keepsCreatedAt: false,
    notifies: false,
    check: checkOptionsOf(adapter, new JobRegistry()),
    onSetApart: () => {
      throw new Error('listener failed')
    },
  })
  const release = await openTransaction((client) =>
    client.query('SELECT FROM good_jobs WHERE id = $1 FOR UPDATE', [ids[0]]),
  )
  const failed = next('worker_error')
  const [first, second] = rows.map((row) => outcomeOf(row, now, adapter.clock.timestamp()))
  if (first === undefined || second === undefined) throw new Error('two were claimed')
  completer.complete(first)
  expect(await failed).toMatchObject([{ part: 'completer', error: { message: 'listener failed' } }])
  completer.complete(second)
  await until(() => isFinished(second.row.id), 'the other outcome is written')
  expect(await isFinished(first.row.id)).toBe(false)
  await release()
  await completer.drained()
  expect(await isFinished(first.row.id)).toBe(true)
  await completer.close()
  await lane.end()
})
