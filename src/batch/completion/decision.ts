import type { LockedBatch } from '../../sql/batch/check.ts'

export type CallbackEvent = 'discard' | 'success' | 'finish'

/** Whether a discarded batch in which no member is open or broken may count as successful again. */
export type Proof =
  | { readonly kind: 'proven' }
  /** Another process enqueued the success callback too early, after the batch was last armed: it is not enqueued again. */
  | { readonly kind: 'already_succeeded' }
  /** A delayed Ruby process discarded the batch after it had recovered: its callbacks have been enqueued already. */
  | { readonly kind: 'discarded_late' }
  | { readonly kind: 'unproven'; readonly reason: string }

/** What one check does to a batch. */
export interface BatchDecision {
  readonly discardedAt: string | null
  readonly jobsFinishedAt: string | null
  readonly finishedAt: string | null
  /** In the order in which they are enqueued. */
  readonly callbacks: readonly CallbackEvent[]
  readonly steps: readonly ('discard' | 'recover' | 'complete' | 'finish')[]
  /** Why a discarded batch was not recovered although none of its members is broken. */
  readonly unproven: string | undefined
}

export interface DecisionInput {
  readonly state: LockedBatch
  /** Time of the first outcome in this flush that broke a member. */
  readonly brokenAt: string | undefined
  readonly now: string
  /** Whether good_job_batches.jobs_finished_at exists; without it, finished_at takes its place. */
  readonly hasJobsFinishedAt: boolean
  /** Read only when `needsProof` returns true. */
  readonly proof: Proof | undefined
  readonly refireFinish: boolean
}

/** Whether the recover step needs a proof: the batch is discarded, and no member is open or broken. */
export const needsProof = (state: LockedBatch): boolean =>
  state.discarded_at !== null && !state.has_open_member && state.broken_at === null

/**
 * The check of a batch: discard, recover, complete, finish. Pure. After the result is written the precondition of each step is false, so
 * each callback is enqueued once. The first, third and fourth step are GoodJob's (batch_record.rb#_continue_discard_or_finish), except that
 * a broken member never counts as success. GoodJob has no second step.
 */
export const decideBatch = (input: DecisionInput): BatchDecision => {
  const { state, hasJobsFinishedAt } = input
  const draft: Draft = {
    discardedAt: state.discarded_at,
    jobsFinishedAt: hasJobsFinishedAt ? state.jobs_finished_at : state.finished_at,
    finishedAt: state.finished_at,
    callbacks: [] as CallbackEvent[],
    steps: [] as BatchDecision['steps'][number][],
    unproven: undefined,
  }
  discard(draft, input)
  recover(draft, input)
  complete(draft, input)
  if (hasJobsFinishedAt) finish(draft, input)
  else draft.finishedAt = draft.jobsFinishedAt
  if (!hasJobsFinishedAt) draft.jobsFinishedAt = null
  return draft
}

type Draft = { -readonly [K in keyof BatchDecision]: BatchDecision[K] } & {
  callbacks: CallbackEvent[]
  steps: BatchDecision['steps'][number][]
}

/** The class that a batch names for an event, or undefined. */
export const callbackClass = (
  state: Pick<LockedBatch, 'on_discard' | 'on_success' | 'on_finish'>,
  event: CallbackEvent,
): string | undefined => {
  const name = { discard: state.on_discard, success: state.on_success, finish: state.on_finish }[event]
  return name === null || name.trim() === '' ? undefined : name
}

const fire = (draft: Draft, state: LockedBatch, event: CallbackEvent): void => {
  if (callbackClass(state, event) !== undefined) draft.callbacks.push(event)
}

const discard = (draft: Draft, { state, brokenAt }: DecisionInput): void => {
  if (brokenAt === undefined || draft.discardedAt !== null) return
  draft.discardedAt = brokenAt
  fire(draft, state, 'discard')
  draft.steps.push('discard')
}

const recover = (draft: Draft, { state, brokenAt, now, proof, refireFinish }: DecisionInput): void => {
  // The row of a member that this flush broke may be deleted already; then `state` does not show it.
  if (!needsProof(state) || proof === undefined || brokenAt !== undefined) return
  if (proof.kind === 'unproven') {
    draft.unproven = proof.reason
    return
  }
  draft.discardedAt = null
  draft.steps.push('recover')
  // The batch still counts as waiting for its members, so the complete step enqueues the callbacks.
  if (draft.jobsFinishedAt === null || proof.kind !== 'proven') return
  draft.jobsFinishedAt = now
  draft.finishedAt = null
  fire(draft, state, 'success')
  if (refireFinish) fire(draft, state, 'finish')
}

const complete = (draft: Draft, { state, now }: DecisionInput): void => {
  if (state.enqueued_at === null || draft.jobsFinishedAt !== null || state.has_open_member) return
  draft.jobsFinishedAt = now
  draft.steps.push('complete')
  if (state.broken_at !== null && draft.discardedAt === null) {
    // No process set `discarded_at` when that member broke (a manual discard, or a crash in between). The time of the break is needed to
    // prove a later recovery.
    draft.discardedAt = state.broken_at
    fire(draft, state, 'discard')
    draft.steps.push('discard')
  }
  if (draft.discardedAt === null) fire(draft, state, 'success')
  fire(draft, state, 'finish')
}

const finish = (draft: Draft, { state, now }: DecisionInput): void => {
  const hasCallback = state.has_open_callback || draft.callbacks.length > 0
  if (draft.jobsFinishedAt === null || draft.finishedAt !== null || hasCallback) return
  // A retried member is still open: cleanup could delete a batch that counts as finished while this member runs.
  if (state.has_open_member) return
  draft.finishedAt = now
  draft.steps.push('finish')
}
