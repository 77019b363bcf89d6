import type { EnqueueAdapter } from '../enqueue/adapter.ts'
import { RecordMissingError } from '../errors.ts'
import { events } from '../events.ts'
import type { Job } from '../job/base.ts'
import { type BatchRow, findBatches, findBatchIds, insertBatches, updateBatches } from '../sql/batch/batches.ts'
import { type Queryable, queryableOf } from '../sql/connection/queryable.ts'
import type { Facts } from '../sql/database.ts'
import { seesCommits } from '../sql/transaction/read-committed.ts'
import type { Batch, BatchJobs, EnqueueBatchOptions } from './batch.ts'
import { announceChecks, type CheckedBatch, checkBatches, lockTouchedBatches } from './completion/completion.ts'
import { checkOptionsOf } from './context.ts'
import { checkMembers, collectMembers, type Members, type StoredMembers, storeMembers } from './members.ts'

/** How many members of a batch concurrency rules refused, of how many. */
interface RefusedMembers {
  readonly batch: Batch
  readonly refused: number
  readonly jobs: number
}

/** What one transaction wrote. */
interface Written {
  readonly stored: StoredMembers
  readonly checked: readonly CheckedBatch[]
  readonly refused: readonly RefusedMembers[]
  /** The rows of the batches, unless the transaction is the caller's. */
  readonly rows: readonly BatchRow[]
}

/** Batch#add: saves the batch when it is new; never re-arms one that has ended. */
export const addJobs = (batch: Batch, jobs: BatchJobs, options: EnqueueBatchOptions): Promise<Job[]> =>
  withCollected(batch, jobs, { ...options, where: 'batch.add' }, (members, db, facts) =>
    write(db, facts, [members], { ...options, isArmed: false }),
  )

/**
 * Batch#enqueue: the row, the members, the start of waiting and, when no member is open, the check. All in one transaction under the batch
 * lock.
 */
export const enqueueBatch = async (
  batch: Batch,
  jobs: BatchJobs | undefined,
  options: EnqueueBatchOptions,
): Promise<void> => {
  await withCollected(batch, jobs, { ...options, where: 'batch.enqueue' }, (members, db, facts) =>
    write(db, facts, [members], { ...options, isArmed: true }),
  )
}

/** Batch.enqueue_all: every batch and job in one transaction, in a few statements. Batches without jobs complete at once. */
export const enqueueBatches = async (members: readonly Members[], options: EnqueueBatchOptions): Promise<void> => {
  const adapter = members[0]?.batch.adapter
  if (adapter === undefined) return
  await commit(
    adapter,
    members.map(({ batch }) => batch),
    options,
    (db, facts) => write(db, facts, members, { ...options, isArmed: true }),
  )
}

const withCollected = async (
  batch: Batch,
  jobs: BatchJobs | undefined,
  { where, transaction }: EnqueueBatchOptions & { readonly where: string },
  work: (members: Members, db: Queryable, facts: Facts) => Promise<Written>,
): Promise<Job[]> => {
  const members = await collectMembers(batch, jobs, { where, transaction: transaction ?? undefined })
  try {
    await commit(batch.adapter, [batch], { transaction }, (db, facts) => work(members, db, facts))
  } catch (error) {
    members.settle(error)
    throw error
  }
  members.settle()
  return [...members.jobs]
}

/**
 * Runs `work` in a transaction of its own and, after the commit, updates jobs and batches in memory and emits the events. In the caller's
 * transaction the commit is not seen: the jobs are marked as Active Job does, each with the id of that transaction; the batches stay
 * unchanged in memory, and no event is emitted.
 */
const commit = async (
  adapter: EnqueueAdapter,
  batches: readonly Batch[],
  { transaction }: EnqueueBatchOptions,
  work: (db: Queryable, facts: Facts) => Promise<Written>,
): Promise<void> => {
  const { database } = adapter
  if (transaction) {
    const db = queryableOf(transaction)
    const { stored } = await work(db, await database.factsFor(db))
    return stored.mark()
  }
  const facts = await database.facts()
  const { stored, checked, refused, rows } = await database.transaction((db) => work(db, facts))
  stored.mark()
  const byId = new Map(rows.map((row) => [row.id, row]))
  for (const batch of batches) batch.take(byId.get(batch.id) ?? gone(batch))
  for (const { batch, ...numbers } of refused) {
    events.emit('batch_members_refused', { batchId: batch.id, description: batch.description, ...numbers })
  }
  announceChecks(checked, checkOptionsOf(adapter))
}

const write = async (
  db: Queryable,
  facts: Facts,
  members: readonly Members[],
  { transaction, isArmed }: EnqueueBatchOptions & { readonly isArmed: boolean },
): Promise<Written> => {
  const batches = members.map(({ batch }) => batch)
  const [{ adapter }] = batches as [Batch]
  const ids = batches.map(({ id }) => id)
  const isCallers = transaction != null
  const checkedMembers = await checkMembers(db, facts, adapter, members, { isCallers })
  await lockTouchedBatches(db, ids)
  const made = await save(db, facts, adapter, batches, isArmed)
  const stored = await storeMembers(db, facts, adapter, checkedMembers, { isCallers })
  // A member that was inserted is open.
  const ended = members.filter(({ jobs }) => isArmed && !jobs.some((job) => stored.insertedIds.has(job.jobId)))
  const checked = await checkArmed(db, facts, ended, isCallers ? made : undefined)
  const rows = isCallers ? await findBatchIds(db, ids) : await findBatches(db, facts, ids)
  const found = new Set(rows.map(({ id }) => id))
  for (const batch of batches) if (!found.has(batch.id)) gone(batch)
  return { stored, checked, refused: refusedMembers(members, stored), rows: isCallers ? [] : (rows as BatchRow[]) }
}

const refusedMembers = (members: readonly Members[], { refusals }: StoredMembers): RefusedMembers[] =>
  members
    .map(({ batch, jobs }) => ({ batch, refused: jobs.filter((job) => refusals.has(job)).length, jobs: jobs.length }))
    .filter(({ refused }) => refused > 0)

/** @returns the batches that had no row before */
const save = async (
  db: Queryable,
  facts: Facts,
  adapter: EnqueueAdapter,
  batches: readonly Batch[],
  isArmed: boolean,
): Promise<ReadonlySet<Batch>> => {
  const now = adapter.clock.timestamp()
  const rowOf = (batch: Batch) => ({ id: batch.id, now, ...batch.attributes(), enqueued_at: isArmed ? now : null })
  const persisted = batches.filter((batch) => batch.isPersisted)
  const others = batches.filter((batch) => !batch.isPersisted)
  const saved = await insertBatches(db, facts, others.map(rowOf))
  if (isArmed) {
    const updated = await updateBatches(db, facts, persisted.map(rowOf))
    for (const batch of persisted) if (!updated.has(batch.id)) gone(batch)
  }
  // `add` changes nothing but the members of a batch that already has a row.
  return new Set(others.filter((batch) => saved.get(batch.id) === true))
}

/**
 * Checks batches that have just been armed and have no new member. In a caller's transaction above READ COMMITTED, members are read as they
 * were when that transaction began, even under the lock. So only batches that this transaction created are checked: all their members are
 * its own. The sweep finds the other batches armed and unchecked. `made` is undefined in a transaction of our own.
 */
const checkArmed = async (
  db: Queryable,
  facts: Facts,
  members: readonly Members[],
  made: ReadonlySet<Batch> | undefined,
): Promise<CheckedBatch[]> => {
  const batches = members.map(({ batch }) => batch)
  const [first] = batches
  if (first === undefined) return []
  const isCurrent = made === undefined || batches.every((batch) => made.has(batch)) || (await seesCommits(db))
  const checkable = isCurrent ? batches : batches.filter((batch) => made.has(batch))
  for (const batch of batches) {
    if (checkable.includes(batch)) continue
    events.emit('batch_check_left', { batchId: batch.id, description: batch.description })
  }
  const touched = checkable.map(({ id }) => ({ id }))
  return touched.length === 0 ? [] : checkBatches(db, facts, touched, checkOptionsOf(first.adapter))
}

const gone = (batch: Batch): never => {
  throw new RecordMissingError(`batch ${batch.id} is gone: its row was deleted`)
}
