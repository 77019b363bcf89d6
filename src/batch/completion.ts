import { events } from '../events.ts'
import { batchLockKey } from '../sql/advisory-lock.ts'
import { type BatchState, findBatchStates } from '../sql/batch-check.ts'
import { lockBatches, writeBatchTimes } from '../sql/batches.ts'
import type { Facts } from '../sql/database.ts'
import { insertJobs, type NewJobRow } from '../sql/jobs-insert.ts'
import type { Queryable } from '../sql/types.ts'
import type { Clock } from '../time.ts'
import { type CallbackOptions, callbackRow } from './callback-job.ts'
import { type BatchDecision, callbackClass, decideBatch, needsProof, type Proof } from './decision.ts'
import { type ProofPolicy, proveRecovery } from './proof.ts'
import type { ToldOnce } from './told-once.ts'

/** What the check needs of its surroundings. */
export interface CheckOptions extends CallbackOptions, ProofPolicy {
  readonly clock: Clock
  readonly refireFinish: boolean
  /** What was said of batches that stay as they are until a person acts. */
  readonly told: ToldOnce
}

/** A batch to check, and when this transaction broke one of its members, if it did. */
export interface TouchedBatch {
  readonly id: string
  readonly brokenAt?: string | undefined
  /** Recover without proof, on the word of an operator. */
  readonly isForced?: boolean
}

/** What the check did to one batch. */
export interface CheckedBatch {
  readonly state: BatchState
  readonly decision: BatchDecision
  readonly proof: Proof | undefined
  readonly callbacks: readonly {
    readonly event: 'discard' | 'success' | 'finish'
    readonly jobClass: string
    readonly jobId: string
  }[]
}

/** Takes the locks of these batches until the end of the transaction; to be called before the first row of a member is written. */
export const lockTouchedBatches = (db: Queryable, ids: Iterable<string>): Promise<void> =>
  lockBatches(db, [...ids].map(batchLockKey))

/**
 * Checks batches whose locks this transaction holds: one read, one decision for each, one write of times, one insert of callback
 * jobs. Call `announceChecks` with the answer after the commit.
 */
export const checkBatches = async (
  db: Queryable,
  facts: Facts,
  touched: readonly TouchedBatch[],
  options: CheckOptions,
): Promise<CheckedBatch[]> => {
  const byId = new Map(touched.map((batch) => [batch.id, batch]))
  const states = await findBatchStates(db, facts, [...byId.keys()])
  const now = options.clock.timestamp()
  const checked: (CheckedBatch & { readonly rows: readonly NewJobRow[] })[] = []
  for (const state of states) {
    checked.push(await checkOne(db, facts, state, byId.get(state.id), now, options))
  }
  const changed = checked.filter(({ decision }) => decision.steps.length > 0)
  await writeBatchTimes(
    db,
    facts,
    changed.map(({ state, decision }) => timesAfter(state, decision)),
    now,
  )
  await insertJobs(
    db,
    facts,
    changed.flatMap(({ rows }) => rows),
    { isBulk: false },
  )
  return checked
}

const checkOne = async (
  db: Queryable,
  facts: Facts,
  state: BatchState,
  touched: TouchedBatch | undefined,
  now: string,
  options: CheckOptions,
): Promise<CheckedBatch & { readonly rows: readonly NewJobRow[] }> => {
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

const timesAfter = (state: BatchState, decision: BatchDecision) => ({
  id: state.id,
  enqueued_at: state.enqueued_at,
  discarded_at: decision.discardedAt,
  jobs_finished_at: decision.jobsFinishedAt,
  finished_at: decision.finishedAt,
})

/** Tells logs and metrics what committed checks did. */
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
