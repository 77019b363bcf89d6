import { awaitsSchema, INSUFFICIENT_PRIVILEGE, isRetryable, sqlState } from '../../errors.ts'
import { events } from '../../events.ts'
import { batchLockKey } from '../../sql/advisory-lock.ts'
import { lockBatches, writeBatchTimes } from '../../sql/batch/batches.ts'
import { findBatchStates, type LockedBatch } from '../../sql/batch/check.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Facts } from '../../sql/database.ts'
import { insertJobs, type NewJobRow } from '../../sql/jobs/insert.ts'
import { inSavepoint, openSavepoint } from '../../sql/transaction/savepoint.ts'
import type { Clock } from '../../time.ts'
import { type CallbackRowOptions, callbackRow } from './callback-job.ts'
import { type BatchDecision, callbackClass, decideBatch, needsProof, type Proof } from './decision.ts'
import { type ProofPolicy, proveRecovery } from './proof.ts'
import type { ToldOnce } from './told-once.ts'

/** What the check needs from its caller. */
export interface CheckOptions extends CallbackRowOptions, ProofPolicy {
  readonly clock: Clock
  readonly refireFinish: boolean
  /** What was already reported about batches that stay as they are until a person acts. */
  readonly told: ToldOnce
}

/** A batch to check and, if this transaction broke one of its members, the time of that. */
export interface TouchedBatch {
  readonly id: string
  readonly brokenAt?: string | undefined
  /** Recover without proof, because an operator asked for it. */
  readonly isForced?: boolean
}

/** What the check did to one batch. */
export interface CheckedBatch {
  readonly state: LockedBatch
  readonly decision: BatchDecision
  readonly proof: Proof | undefined
  readonly callbacks: readonly {
    readonly event: 'discard' | 'success' | 'finish'
    readonly jobClass: string
    readonly jobId: string
  }[]
}

/** Takes the locks of these batches until the end of the transaction. Call this before the first row of a member is written. */
export const lockTouchedBatches = (db: Queryable, ids: Iterable<string>): Promise<void> =>
  lockBatches(db, [...ids].map(batchLockKey))

/** A check that failed because Postgres refused its callbacks or another of its writes. The batch is unchanged. */
export interface RefusedCheck {
  readonly batchId: string
  readonly description: string | null
  readonly callbacks: CheckedBatch['callbacks']
  readonly error: unknown
  /** True if the error does not concern the batch: the same check may succeed a moment later. */
  readonly isPassing: boolean
}

/** The results of checks that ran separately. */
export interface ApartChecks {
  readonly checked: readonly CheckedBatch[]
  readonly refused: readonly RefusedCheck[]
}

type Decided = CheckedBatch & { readonly rows: readonly NewJobRow[] }

/**
 * Checks batches whose locks this transaction holds: one read, one decision per batch, one write of times, one insert of callback jobs.
 * Call `announceChecks` with the result after the commit.
 */
export const checkBatches = async (
  db: Queryable,
  facts: Facts,
  touched: readonly TouchedBatch[],
  options: CheckOptions,
): Promise<CheckedBatch[]> => {
  const now = options.clock.timestamp()
  const decided = await decideAll(db, facts, touched, now, options)
  await writeDecided(db, facts, decided, now)
  return decided
}

/**
 * Checks batches as `checkBatches` does, but each one separately. A batch whose callbacks cannot be enqueued stays unchanged, so a later
 * check takes the same step with its callbacks, once.
 */
export const checkBatchesApart = async (
  db: Queryable,
  facts: Facts,
  touched: readonly TouchedBatch[],
  options: CheckOptions,
): Promise<ApartChecks> => {
  const checked: CheckedBatch[] = []
  const refused: RefusedCheck[] = []
  await openSavepoint(db)
  for (const batch of touched) {
    let decided: Decided[] = []
    const tried = await inSavepoint(db, async () => {
      const now = options.clock.timestamp()
      decided = await decideAll(db, facts, [batch], now, options)
      await writeDecided(db, facts, decided, now)
    })
    if (!tried.isRefused) checked.push(...decided)
    else {
      const { description = null } = decided[0]?.state ?? {}
      const callbacks = decided.flatMap((one) => one.callbacks)
      refused.push({ batchId: batch.id, description, callbacks, error: tried.error, isPassing: isPassing(tried.error) })
    }
  }
  return { checked, refused }
}

/** A missing privilege or a row-level policy may concern only this callback job, so the other batches are still checked. */
const isPassing = (error: unknown): boolean =>
  isRetryable(error) || (awaitsSchema(error) && sqlState(error) !== INSUFFICIENT_PRIVILEGE)

const decideAll = async (
  db: Queryable,
  facts: Facts,
  touched: readonly TouchedBatch[],
  now: string,
  options: CheckOptions,
): Promise<Decided[]> => {
  const byId = new Map(touched.map((batch) => [batch.id, batch]))
  const states = await findBatchStates(db, facts, [...byId.keys()])
  const decided: Decided[] = []
  for (const state of states) {
    decided.push(await checkOne(db, facts, state, byId.get(state.id), now, options))
  }
  return decided
}

const writeDecided = async (db: Queryable, facts: Facts, decided: readonly Decided[], now: string): Promise<void> => {
  const changed = decided.filter(({ decision }) => decision.steps.length > 0)
  const times = changed.map(({ state, decision }) => timesAfter(state, decision))
  await writeBatchTimes(db, facts, times, now)
  const rows = changed.flatMap((one) => one.rows)
  await insertJobs(db, facts, rows, { isBulk: false })
}

const checkOne = async (
  db: Queryable,
  facts: Facts,
  state: LockedBatch,
  touched: TouchedBatch | undefined,
  now: string,
  options: CheckOptions,
): Promise<Decided> => {
  const brokenAt = touched?.brokenAt
  const found =
    needsProof(state) && brokenAt === undefined
      ? await proveRecovery(db, facts, state, options, options.clock.now())
      : undefined
  const proof: Proof | undefined = touched?.isForced && found?.kind === 'unproven' ? { kind: 'proven' } : found
  const { hasJobsFinishedAt } = facts
  const decision = decideBatch({ state, brokenAt, now, hasJobsFinishedAt, proof, refireFinish: options.refireFinish })
  const named = decision.callbacks.flatMap((event) => {
    const jobClass = callbackClass(state, event)
    return jobClass === undefined ? [] : [{ event, jobClass }]
  })
  const callbacks = named.map(({ event, jobClass }) => ({
    event,
    jobClass,
    row: callbackRow(state, event, jobClass, options),
  }))
  return {
    state,
    decision,
    proof,
    rows: callbacks.map(({ row }) => row),
    callbacks: callbacks.map(({ event, jobClass, row }) => ({ event, jobClass, jobId: row.id })),
  }
}

const timesAfter = (state: LockedBatch, decision: BatchDecision) => ({
  id: state.id,
  enqueued_at: state.enqueued_at,
  discarded_at: decision.discardedAt,
  jobs_finished_at: decision.jobsFinishedAt,
  finished_at: decision.finishedAt,
})

/** Emits events for what committed checks did, for logs and metrics. */
export const announceChecks = (checked: readonly CheckedBatch[], { told }: Pick<CheckOptions, 'told'>): void => {
  for (const { state, decision, proof, callbacks } of checked) {
    const batch = { batchId: state.id, description: state.description }
    if (decision.steps.includes('discard')) events.emit('batch_discarded', batch)
    if (decision.steps.includes('recover')) {
      events.emit('batch_recovered', { ...batch, isFalseSuccess: proof?.kind === 'already_succeeded' })
    }
    if (decision.steps.includes('complete')) events.emit('batch_completed', batch)
    const reason = decision.unproven
    if (reason !== undefined && told.isNew(`unproven ${state.id} ${state.discarded_at} ${reason}`)) {
      events.emit('batch_unproven', { ...batch, reason })
    }
    for (const callback of callbacks) events.emit('batch_callback_enqueued', { ...batch, ...callback })
  }
}

/** Reports which callbacks are owed, and why; the next sweep tries again. */
export const announceRefusedChecks = (refused: readonly RefusedCheck[]): void => {
  for (const { batchId, description, callbacks, error } of refused) {
    const names = callbacks.map(({ event, jobClass }) => `on_${event} ${jobClass}`)
    events.emit('batch_check_refused', { batchId, description, callbacks: names, error })
  }
}
