import type { EnqueueAdapter } from '../enqueue/adapter.ts'
import { insertPages, markInserted } from '../enqueue/insert-pages.ts'
import { jobRow } from '../enqueue/job-row.ts'
import { checkRules, markRefused, type Refusals, ruledJob } from '../enqueue/rule-check.ts'
import { ConfigurationError, RecordMissingError } from '../errors.ts'
import { EnqueueBuffer } from '../job/adapters/enqueue-buffer.ts'
import type { CallerTransaction } from '../job/adapters/queue-adapter.ts'
import type { Job } from '../job/base.ts'
import { currentJob, withEnqueueContext } from '../job/context.ts'
import { assertEnqueueable, jobsOf } from '../job/enqueueable.ts'
import { asError } from '../job/exceptions/error-names.ts'
import { STATE } from '../job/state.ts'
import { joinBatches } from '../sql/batch/batches.ts'
import type { Queryable } from '../sql/connection/queryable.ts'
import type { Facts } from '../sql/database.ts'
import { findTransactionEnds } from '../sql/transaction/ends.ts'
import type { Batch, BatchJobs } from './batch.ts'

/** A batch and the jobs given to it. */
export interface Members {
  readonly batch: Batch
  readonly jobs: readonly Job[]
}

/** The jobs of a block; their events and marks wait for the end of the transaction. */
export interface CollectedMembers extends Members {
  /** Call this when the jobs are stored, or with the error that prevented it. */
  settle(error?: unknown): void
}

const NOTHING_TO_SETTLE = (): void => undefined

/** Runs the block, if `jobs` is one. Nothing is inserted yet: a block that throws leaves nothing behind. */
export const collectMembers = async (
  batch: Batch,
  jobs: BatchJobs | undefined,
  { where, transaction }: { readonly where: string; readonly transaction: CallerTransaction | undefined },
): Promise<CollectedMembers> => {
  if (typeof jobs === 'function' && !isClass(jobs)) return capture(batch, jobs, transaction)
  const given = jobsOf(where, jobs === undefined ? [] : [jobs])
  return { batch, jobs: givenMembers(given, transaction), settle: NOTHING_TO_SETTLE }
}

/** A class passed instead of a job would otherwise be called as a block. */
const isClass = (jobs: object): boolean => /^class\b/.test(Function.prototype.toString.call(jobs))

/** The jobs of a list, each once. Throws ConfigurationError for one that belongs to another transaction. */
export const givenMembers = (jobs: readonly Job[], transaction: CallerTransaction | undefined): Job[] => {
  for (const job of jobs) {
    assertEnqueueable(job)
    const own = job[STATE].transaction
    if (own === undefined || own === transaction) continue
    throw new ConfigurationError(
      `${job.jobClass}: a member is stored with its batch; give the transaction to the batch instead of the job`,
    )
  }
  return [...new Set(jobs)]
}

const capture = async (
  batch: Batch,
  block: (batch: Batch) => unknown,
  transaction: CallerTransaction | undefined,
): Promise<CollectedMembers> => {
  const buffer = new EnqueueBuffer(transaction)
  const context: { batchId: string; buffer: EnqueueBuffer | undefined } = { batchId: batch.id, buffer }
  try {
    await withEnqueueContext(context, async () => block(batch))
  } catch (error) {
    buffer.settle(asError(error))
    throw error
  } finally {
    // The buffer is not read any more: code that the block left running enqueues directly, into the batch.
    context.buffer = undefined
  }
  return { batch, jobs: buffer.jobs, settle: (error) => buffer.settle(error) }
}

/** The jobs of members, before they are stored. */
export interface CheckedMembers {
  readonly batchIds: ReadonlyMap<Job, string>
  /** The jobs that may have no row. */
  readonly fresh: ReadonlySet<Job>
  /** Fresh jobs that a concurrency rule refused. */
  readonly refusals: Refusals
}

/**
 * Finds out which jobs are new, and checks their concurrency rules. Call it before the lock of the batch is taken: another transaction may
 * hold the lock of a rule for long, and the outcomes of the batch's members would wait for it.
 */
export const checkMembers = async (
  db: Queryable,
  facts: Facts,
  adapter: EnqueueAdapter,
  members: readonly Members[],
  { isCallers }: { readonly isCallers: boolean },
): Promise<CheckedMembers> => {
  const batchIds = batchIdsByJob(members)
  const fresh = await freshOf(db, [...batchIds.keys()])
  const refusals = await checkRules(db, facts, [...fresh].map(ruledJob), { clock: adapter.clock, isCallers })
  return { batchIds, fresh, refusals }
}

/** The result of storing members; the jobs in memory are unchanged so far. */
export interface StoredMembers {
  readonly insertedIds: ReadonlySet<string>
  readonly refusals: Refusals
  /** Call this after the commit, or at once if the transaction is the caller's. */
  mark(): void
}

/**
 * Stores jobs as members: new jobs are inserted; jobs that already have a row, including the running one, join through it. The rows decide
 * whether a job is new: the job object may have been marked in a transaction that was rolled back. @throws RecordMissingError when the row
 * of an enqueued job is gone
 */
export const storeMembers = async (
  db: Queryable,
  facts: Facts,
  adapter: EnqueueAdapter,
  { batchIds, fresh, refusals }: CheckedMembers,
  { isCallers }: { readonly isCallers: boolean },
): Promise<StoredMembers> => {
  const jobs = [...batchIds.keys()].filter((job) => !refusals.has(job))
  const accepted = jobs.filter((job) => fresh.has(job))
  const inserted = await insertPages(db, facts, memberRows(adapter, accepted, batchIds))
  const others = jobs.filter((job) => !inserted.ids.has(job.jobId))
  const joining = others.map((job) => ({ jobId: job.jobId, batchId: batchIds.get(job) ?? '' }))
  const joined = await joinBatches(db, facts, joining, adapter.clock.timestamp())
  const missing = others.find((job) => !joined.has(job.jobId))
  if (missing) {
    throw new RecordMissingError(
      `${missing.jobClass} ${missing.jobId} cannot join batch ${batchIds.get(missing)}: its row is gone; enqueue it again first, or leave it out`,
    )
  }
  const transaction = isCallers ? inserted.transaction : undefined
  return {
    insertedIds: inserted.ids,
    refusals,
    mark: () => {
      // A job that joined through its row may have been inserted earlier in the caller's transaction; a rollback would remove that row too.
      const before = (job: Job) => (isCallers ? job[STATE].insertedIn : undefined)
      for (const job of accepted) {
        job.enqueueError = null
        markInserted(job, inserted.ids.has(job.jobId) ? transaction : before(job))
      }
      markRefused(refusals, { isCallers })
    },
  }
}

/** The batch of each job. Throws ConfigurationError for a job that is given to two batches. */
const batchIdsByJob = (members: readonly Members[]): Map<Job, string> => {
  const batchIds = new Map<Job, string>()
  for (const { batch, jobs } of members) {
    for (const job of jobs) {
      const other = batchIds.get(job)
      if (other !== undefined && other !== batch.id) {
        throw new ConfigurationError(
          `${job.jobClass} ${job.jobId} is given to two batches, ${other} and ${batch.id}: a job can be a member of only one`,
        )
      }
      batchIds.set(job, batch.id)
    }
  }
  return batchIds
}

/** The jobs that may have no row: never enqueued, or enqueued in a caller's transaction that did not commit. */
const freshOf = async (db: Queryable, jobs: readonly Job[]): Promise<ReadonlySet<Job>> => {
  const running = currentJob()
  const unknown = new Set(jobs.flatMap((job) => job[STATE].insertedIn ?? []))
  const ends = await findTransactionEnds(db, [...unknown])
  const fresh = jobs.filter((job) => {
    const { insertedIn } = job[STATE]
    if (insertedIn === undefined) return job.providerJobId === null && job !== running
    const end = ends.get(insertedIn)
    if (end === 'in progress') {
      throw new ConfigurationError(
        `${job.jobClass} ${job.jobId} was enqueued in a transaction that is still open: pass that transaction, or commit it first`,
      )
    }
    if (end === 'aborted') Object.assign(job, { providerJobId: null, successfullyEnqueued: false })
    return end !== 'committed'
  })
  return new Set(fresh)
}

const memberRows = (adapter: EnqueueAdapter, jobs: readonly Job[], batchIds: ReadonlyMap<Job, string>) => {
  const { railsVersion, enableListenNotify } = adapter.configuration
  const { clock } = adapter
  const options = { clock, bulkAt: clock.timestamp(), railsVersion, enableListenNotify }
  return jobs.map((job) => withEnqueueContext({ batchId: batchIds.get(job) }, () => jobRow(job, options)))
}
