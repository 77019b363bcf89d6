import type { Adapter } from '../enqueue/adapter.ts'
import { insertPages, markInserted } from '../enqueue/insert-pages.ts'
import { jobRow } from '../enqueue/job-row.ts'
import { RecordMissingError } from '../errors.ts'
import { events } from '../events.ts'
import type { Job } from '../job/base.ts'
import { currentJob, withEnqueueContext } from '../job/context.ts'
import { addJobsToBatch, findBatches, insertBatches, updateBatch, writeBatchTimes } from '../sql/batches.ts'
import type { Facts } from '../sql/database.ts'
import { seesCommits } from '../sql/read-committed.ts'
import { type Queryable, queryableOf } from '../sql/types.ts'
import type { Batch, BatchJobs, EnqueueBatchOptions } from './batch.ts'
import { announceChecks, type CheckedBatch, checkBatches, lockTouchedBatches } from './completion.ts'
import { checkOptionsOf } from './context.ts'

interface Members {
  readonly fresh: readonly Job[]
  /** Jobs that have a row already, the running one included. */
  readonly enqueued: readonly Job[]
}

/** Runs the block, if it is one, and sorts the jobs. Nothing is inserted yet: a block that throws leaves nothing behind. */
const collect = async (batch: Batch, jobs: BatchJobs | undefined): Promise<Members> => {
  const given = typeof jobs === 'function' ? await capture(batch, jobs) : jobs === undefined ? [] : [jobs].flat()
  const isEnqueued = (job: Job) => job.providerJobId !== null || job === currentJob()
  const all = [...new Set(given as readonly Job[])]
  return { fresh: all.filter((job) => !isEnqueued(job)), enqueued: all.filter(isEnqueued) }
}

const capture = async (batch: Batch, block: (batch: Batch) => unknown): Promise<Job[]> => {
  const buffer: Job[] = []
  const context: { batchId: string; buffer: Job[] | undefined } = { batchId: batch.id, buffer }
  try {
    await withEnqueueContext(context, async () => block(batch))
  } finally {
    // Nobody empties the buffer any more: what the block left running enqueues by itself, into the batch.
    context.buffer = undefined
  }
  return buffer
}

const insertMembers = async (db: Queryable, facts: Facts, batch: Batch, members: Members): Promise<void> => {
  const { adapter } = batch
  await insertAll(db, facts, adapter, [{ batch, jobs: members.fresh }])
  const ids = members.enqueued.map((job) => job.jobId)
  if (ids.length > 0) await addJobsToBatch(db, ids, batch.id, adapter.clock.timestamp())
}

/** In the caller's transaction, or one of its own. */
const inTransactionOf = <T>(
  adapter: Adapter,
  options: EnqueueBatchOptions,
  work: (db: Queryable) => Promise<T>,
): Promise<T> => (options.transaction ? work(queryableOf(options.transaction)) : adapter.database.transaction(work))

/** Batch#add: saves the batch when it is new; never re-arms one that has ended. */
export const addJobs = async (batch: Batch, jobs: BatchJobs, options: EnqueueBatchOptions): Promise<Job[]> => {
  const members = await collect(batch, jobs)
  const { adapter } = batch
  const facts = await adapter.database.facts()
  await inTransactionOf(adapter, options, async (db) => {
    await lockTouchedBatches(db, [batch.id])
    if (!batch.isPersisted)
      await insertBatches(db, facts, [
        { id: batch.id, now: adapter.clock.timestamp(), ...batch.attributes(), enqueued_at: null },
      ])
    await insertMembers(db, facts, batch, members)
    await reloadWith(db, facts, batch)
  })
  return [...members.fresh, ...members.enqueued]
}

/** Batch#enqueue: row, members, start of waiting and, when nothing is open, the check, all under the batch lock in one transaction. */
export const enqueueBatch = async (
  batch: Batch,
  jobs: BatchJobs | undefined,
  options: EnqueueBatchOptions,
): Promise<void> => {
  const members = await collect(batch, jobs)
  const { adapter } = batch
  const facts = await adapter.database.facts()
  const checked = await inTransactionOf(adapter, options, async (db) => {
    await lockTouchedBatches(db, [batch.id])
    const made = madeIn(options, [batch])
    await arm(db, facts, batch)
    await insertMembers(db, facts, batch, members)
    const isOpen = members.fresh.length > 0 && members.fresh.some((job) => job.successfullyEnqueued)
    const result = isOpen ? [] : await checkArmed(db, facts, [batch], made)
    await reloadWith(db, facts, batch)
    return result
  })
  announceChecks(checked, checkOptionsOf(adapter))
}

/** Of which batches this transaction sees every member, whatever its level of isolation: of all, where it is our own; else of those that it makes. */
const madeIn = ({ transaction }: EnqueueBatchOptions, batches: readonly Batch[]): ReadonlySet<Batch> =>
  new Set(batches.filter(({ isPersisted }) => transaction === undefined || !isPersisted))

/**
 * Checks batches that have just been armed and have no new member. In a caller's transaction of another level than READ COMMITTED the members
 * look as they did when it began, also under the lock: such a batch is left to the sweep, which finds it armed and unchecked.
 */
const checkArmed = async (
  db: Queryable,
  facts: Facts,
  batches: readonly Batch[],
  made: ReadonlySet<Batch>,
): Promise<CheckedBatch[]> => {
  const [first] = batches
  if (first === undefined) return []
  const isCurrent = batches.every((batch) => made.has(batch)) || (await seesCommits(db))
  const checkable = isCurrent ? batches : batches.filter((batch) => made.has(batch))
  for (const batch of batches) {
    if (checkable.includes(batch)) continue
    events.emit('batch_check_left', { batchId: batch.id, description: batch.description })
  }
  const touched = checkable.map(({ id }) => ({ id }))
  return touched.length === 0 ? [] : checkBatches(db, facts, touched, checkOptionsOf(first.adapter))
}

/** Starts to wait: enqueued_at is now, the ends are open again. A broken member keeps the batch discarded. */
const arm = async (db: Queryable, facts: Facts, batch: Batch): Promise<void> => {
  const now = batch.adapter.clock.timestamp()
  if (!batch.isPersisted)
    return insertBatches(db, facts, [{ id: batch.id, now, ...batch.attributes(), enqueued_at: now }])
  if (!(await updateBatch(db, { id: batch.id, now, ...batch.attributes() })))
    throw new RecordMissingError(`batch ${batch.id} is gone`)
  const [row] = await findBatches(db, facts, [batch.id])
  const discarded_at = row?.discarded_at ?? null
  await writeBatchTimes(
    db,
    facts,
    [{ id: batch.id, enqueued_at: now, discarded_at, jobs_finished_at: null, finished_at: null }],
    now,
  )
}

/** Batch.enqueue_all: every batch and job in one transaction, in a few statements; batches without jobs complete at once. */
export const enqueueBatches = async (
  members: readonly { readonly batch: Batch; readonly jobs: readonly Job[] }[],
  options: EnqueueBatchOptions,
): Promise<void> => {
  const adapter = members[0]?.batch.adapter
  if (adapter === undefined) return
  const facts = await adapter.database.facts()
  const checked = await inTransactionOf(adapter, options, async (db) => {
    const batches = members.map(({ batch }) => batch)
    const ids = batches.map(({ id }) => id)
    await lockTouchedBatches(db, ids)
    const made = madeIn(options, batches)
    await armAll(db, facts, adapter, batches)
    await insertAll(db, facts, adapter, members)
    const empty = members.filter(({ jobs }) => jobs.length === 0).map(({ batch }) => batch)
    const result = await checkArmed(db, facts, empty, made)
    const rows = new Map((await findBatches(db, facts, ids)).map((row) => [row.id, row]))
    for (const { batch } of members) batch.take(rows.get(batch.id) ?? gone(batch))
    return result
  })
  announceChecks(checked, checkOptionsOf(adapter))
}

const armAll = async (db: Queryable, facts: Facts, adapter: Adapter, batches: readonly Batch[]): Promise<void> => {
  const now = adapter.clock.timestamp()
  const fresh = batches.filter((batch) => !batch.isPersisted)
  await insertBatches(
    db,
    facts,
    fresh.map((batch) => ({ id: batch.id, now, ...batch.attributes(), enqueued_at: now })),
  )
  for (const batch of batches) if (batch.isPersisted) await arm(db, facts, batch)
}

const insertAll = async (
  db: Queryable,
  facts: Facts,
  adapter: Adapter,
  members: readonly { readonly batch: Batch; readonly jobs: readonly Job[] }[],
): Promise<void> => {
  const { railsVersion, enableListenNotify } = adapter.configuration
  const { clock } = adapter
  const options = { clock, bulkAt: clock.timestamp(), railsVersion, enableListenNotify }
  const rows = members.flatMap(({ batch, jobs }) =>
    withEnqueueContext({ batchId: batch.id }, () => jobs.map((job) => jobRow(job, options))),
  )
  const inserted = await insertPages(db, facts, rows)
  for (const { jobs } of members) markInserted(jobs, inserted)
}

const gone = (batch: Batch): never => {
  throw new RecordMissingError(`there is no batch ${batch.id}`)
}

const reloadWith = async (db: Queryable, facts: Facts, batch: Batch): Promise<void> => {
  const [row] = await findBatches(db, facts, [batch.id])
  batch.take(row ?? gone(batch))
}
