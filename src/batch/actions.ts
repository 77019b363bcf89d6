import { BatchUnprovenError, GoodJobError, RecordAlreadyAdvisoryLockedError, RecordMissingError } from '../errors.ts'
import { writeBatchTimes } from '../sql/batch/batches.ts'
import { findBatchStates, type LockedBatch } from '../sql/batch/check.ts'
import { findBatchHistory } from '../sql/batch/history.ts'
import type { Queryable } from '../sql/connection/queryable.ts'
import type { Facts } from '../sql/database.ts'
import {
  discardJobs,
  findBrokenMembers,
  findOpenMembers,
  lockJobsForAction,
  reopenBatches,
  retryJobs,
} from '../sql/jobs/actions.ts'
import { insertJobs } from '../sql/jobs/insert.ts'
import type { Batch } from './batch.ts'
import { callbackRow } from './completion/callback-job.ts'
import { announceChecks, type CheckedBatch, checkBatches, lockTouchedBatches } from './completion/completion.ts'
import { type CallbackEvent, callbackClass } from './completion/decision.ts'
import { checkOptionsOf } from './context.ts'
import { retryJobsOptions } from './retry-jobs-options.ts'

export interface RetryBatchOptions {
  /** Retry even when the rows of discarded members are gone. */
  readonly force?: boolean
}

export interface RecoverBatchOptions {
  /** Report what would happen; write nothing. */
  readonly dryRun?: boolean
  /** Recover even when success cannot be proven. */
  readonly force?: boolean
}

export interface RecoverBatchResult {
  readonly outcome: 'recovered' | 'completed' | 'unproven' | 'nothing'
  /** For people. */
  readonly reason: string
  readonly callbacks: CheckedBatch['callbacks']
}

export type RetryBatchResult = {
  readonly retriedJobIds: readonly string[]
  readonly recovery: RecoverBatchResult | undefined
}
export type DiscardBatchResult = {
  readonly discardedJobIds: readonly string[]
  readonly callbacks: CheckedBatch['callbacks']
}
export type CallbackBatchResult = { readonly jobId: string; readonly jobClass: string }

/** Thrown to roll a transaction back on purpose; carries the result of the action. */
class Undo<T> extends Error {
  readonly result: T
  constructor(result: T) {
    super('undone on purpose')
    this.result = result
  }
}

const underLock = async <T>(
  batch: Batch,
  work: (db: Queryable, facts: Facts, state: LockedBatch) => Promise<T>,
): Promise<T> => {
  const { database } = batch.adapter
  const facts = await database.facts()
  try {
    return await database.transaction(async (db) => {
      await lockTouchedBatches(db, [batch.id])
      const [state] = await findBatchStates(db, facts, [batch.id])
      if (state === undefined) throw new RecordMissingError(`there is no batch ${batch.id}`)
      return work(db, facts, state)
    })
  } catch (error) {
    if (error instanceof Undo) return error.result as T
    throw error
  } finally {
    // The row may have been deleted meanwhile. The caller needs the result or error of the action, not that of the reload.
    await batch.reload().catch(() => undefined)
  }
}

/** Batch#retry in one transaction under the batch lock. When no member is broken any more, the batch is recovered instead. */
export const retryBatch = async (batch: Batch, { force = false }: RetryBatchOptions): Promise<RetryBatchResult> => {
  const result = await underLock(batch, async (db, facts, state) => {
    const broken = await findBrokenMembers(db, batch.id)
    if (broken.length === 0) return undefined
    if (!force) await refuseMissing(db, facts, state)
    await refuseLocked(db, broken)
    const now = batch.adapter.clock.timestamp()
    const times = {
      id: batch.id,
      enqueued_at: state.enqueued_at,
      discarded_at: null,
      jobs_finished_at: null,
      finished_at: null,
    }
    await writeBatchTimes(db, facts, [times], now)
    return retryJobs(db, facts, broken, retryJobsOptions(batch.adapter))
  })
  if (result !== undefined) return { retriedJobIds: result, recovery: undefined }
  return { retriedJobIds: [], recovery: await recoverBatch(batch, { force }) }
}

const refuseMissing = async (db: Queryable, facts: Facts, state: LockedBatch): Promise<void> => {
  if (state.discarded_at === null) return
  const history = await findBatchHistory(db, facts, state, state.discarded_at)
  if (history.has_breaking_attempt || history.has_manual_discard || history.has_discarded_member) return
  throw new BatchUnprovenError(
    `batch ${state.id}: the job whose attempt discarded the batch is gone, so a retry could end in success although its work was lost; use force to retry what is left`,
  )
}

const refuseLocked = async (db: Queryable, ids: readonly string[]): Promise<void> => {
  const locked = (await lockJobsForAction(db, ids)).find((job) => !job.is_lock_free)
  if (locked)
    throw new RecordAlreadyAdvisoryLockedError(`job ${locked.id} is locked by another process; nothing was retried`)
}

/** Runs the batch check now, for an operator: recovers or completes the batch, or returns why it may not. */
export const recoverBatch = (
  batch: Batch,
  { dryRun = false, force = false }: RecoverBatchOptions,
): Promise<RecoverBatchResult> =>
  underLock(batch, async (db, facts, state) => {
    const options = checkOptionsOf(batch.adapter)
    const [checked] = await checkBatches(db, facts, [{ id: batch.id, isForced: force }], options)
    if (checked === undefined) throw new RecordMissingError(`there is no batch ${batch.id}`)
    const result = recoveryOf(state, checked)
    if (dryRun) throw new Undo(result)
    announceChecks([checked], options)
    return result
  })

const recoveryOf = (state: LockedBatch, { decision, callbacks, proof }: CheckedBatch): RecoverBatchResult => {
  if (decision.steps.includes('recover')) {
    return { outcome: 'recovered', reason: whyRecovered(proof), callbacks }
  }
  if (decision.steps.includes('complete') || decision.steps.includes('finish')) {
    return { outcome: 'completed', reason: 'every job has ended, but the batch had not been completed', callbacks }
  }
  if (decision.unproven !== undefined) return { outcome: 'unproven', reason: decision.unproven, callbacks }
  return { outcome: 'nothing', reason: whyNothing(state), callbacks }
}

const whyRecovered = (proof: CheckedBatch['proof']): string => {
  if (proof?.kind === 'already_succeeded') return 'its success callback was already enqueued'
  if (proof?.kind === 'discarded_late') return 'it was discarded after its success, for an earlier failure'
  return 'every member has succeeded'
}

const whyNothing = (state: LockedBatch): string => {
  if (state.has_open_member) return 'members have not ended yet'
  if (state.broken_at !== null) return 'members are discarded: retry them first'
  if (state.enqueued_at === null) return 'the batch was never enqueued'
  return 'there is nothing to do'
}

/** Discards every open member, including running ones (their outcome is dropped), then checks the batch. */
export const discardBatch = (batch: Batch, message: string): Promise<DiscardBatchResult> =>
  underLock(batch, async (db, facts) => {
    const open = await findOpenMembers(db, batch.id)
    const now = batch.adapter.clock.timestamp()
    const discardedJobIds = await discardJobs(db, facts, open, {
      now,
      error: `GoodJob::Job::DiscardJobError: ${message}`,
    })
    const brokenAt = discardedJobIds.length > 0 ? now : undefined
    const options = checkOptionsOf(batch.adapter)
    const checked = await checkBatches(db, facts, [{ id: batch.id, brokenAt }], options)
    announceChecks(checked, options)
    return { discardedJobIds, callbacks: checked.flatMap(({ callbacks }) => callbacks) }
  })

/** Enqueues one callback manually; the batch is finished only after this callback has ended. */
export const enqueueCallback = (batch: Batch, event: CallbackEvent): Promise<CallbackBatchResult> =>
  underLock(batch, async (db, facts, state) => {
    const jobClass = callbackClass(state, event)
    if (jobClass === undefined) throw new GoodJobError(`batch ${batch.id} names no class for ${event}`)
    const now = batch.adapter.clock.timestamp()
    const row = callbackRow(state, event, jobClass, checkOptionsOf(batch.adapter))
    await insertJobs(db, facts, [row], { isBulk: false })
    await reopenBatches(db, facts, [batch.id], now)
    return { jobId: row.id, jobClass }
  })
