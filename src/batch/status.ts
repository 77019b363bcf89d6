import { RecordMissingError } from '../errors.ts'
import { javaScriptNameIn, javaScriptText } from '../job/exceptions/error-names.ts'
import { findBatchStates, type LockedBatch } from '../sql/batch/check.ts'
import { findBatchHistory } from '../sql/batch/history.ts'
import { isDiscardedLate } from '../sql/batch/late-discard.ts'
import {
  type BrokenAttempt,
  type CallbackJob,
  countMembers,
  findBreakingAttempts,
  findCallbackJobs,
} from '../sql/batch/status.ts'
import type { Facts } from '../sql/database.ts'
import { findLastBacktraces } from '../sql/jobs/last-backtraces.ts'
import { JOB_STATES, type JobState } from '../sql/jobs/states.ts'
import type { Batch } from './batch.ts'
import { needsProof } from './completion/decision.ts'
import { proveRecovery } from './completion/proof.ts'
import { checkOptionsOf } from './context.ts'

/**
 * 'none': never discarded · 'waiting': members are broken or still open · 'recovered': was discarded, counts as successful again ·
 * 'recoverable': success is proven, the next check or sweep recovers the batch · 'unproven': see the reason · 'false_success': a process
 * enqueued on_success although a member was broken.
 */
export type RecoveryState = 'none' | 'waiting' | 'recoverable' | 'recovered' | 'unproven' | 'false_success'

export interface TimelineEntry {
  readonly at: Date
  readonly event: string
  readonly jobId?: string
  readonly detail?: string
}

export interface BatchStatus {
  readonly id: string
  readonly description: string | null
  readonly jobs: Readonly<Record<JobState, number>>
  readonly total: number
  readonly callbacks: readonly {
    readonly event: string
    readonly jobClass: string
    readonly jobId: string
    readonly state: string
    readonly error: string | null
    /** The JavaScript class of the error, if the stored text names its Ruby equivalent. */
    readonly thrownAs: string | null
  }[]
  readonly recovery: { readonly state: RecoveryState; readonly reason: string | null }
  readonly enqueuedAt: Date | null
  readonly discardedAt: Date | null
  readonly jobsFinishedAt: Date | null
  readonly finishedAt: Date | null
  readonly timeline: readonly TimelineEntry[]
}

/** Everything a person wants to know about a batch. @throws RecordMissingError */
export const batchStatus = async (batch: Batch): Promise<BatchStatus> => {
  const { database, clock } = batch.adapter
  const db = database.pool
  const facts = await database.facts()
  const now = clock.timestamp()
  const [state] = await findBatchStates(db, facts, [batch.id])
  if (state === undefined) throw new RecordMissingError(`there is no batch ${batch.id}`)
  await batch.reload()
  const [counts, callbacks, attempts] = await Promise.all([
    countMembers(db, batch.id, now),
    findCallbackJobs(db, batch.id, now),
    findBreakingAttempts(db, batch.id),
  ])
  const backtraces = await findLastBacktraces(
    db,
    callbacks.filter(({ error }) => error !== null).map(({ id }) => id),
  )
  const jobs = Object.fromEntries(
    JOB_STATES.map((name) => [name, counts.find((count) => count.state === name)?.jobs ?? 0]),
  ) as Record<JobState, number>
  return {
    id: batch.id,
    description: batch.description,
    jobs,
    total: counts.reduce((sum, count) => sum + count.jobs, 0),
    callbacks: callbacks.map((job) => callbackLine(job, backtraces.get(job.id) ?? null)),
    recovery: await recoveryState(batch, facts, state, attempts),
    enqueuedAt: batch.enqueuedAt,
    discardedAt: batch.discardedAt,
    jobsFinishedAt: batch.jobsFinishedAt,
    finishedAt: batch.finishedAt,
    timeline: timeline(batch, callbacks, attempts),
  }
}

const callbackLine = (job: CallbackJob, backtrace: readonly string[] | null) => ({
  event: job.event ?? 'unknown',
  jobClass: job.job_class ?? 'unknown',
  jobId: job.id,
  state: job.state,
  error: job.error,
  thrownAs: javaScriptNameIn(backtrace) ?? null,
})

const recoveryState = async (
  batch: Batch,
  facts: Facts,
  state: LockedBatch,
  attempts: readonly BrokenAttempt[],
): Promise<BatchStatus['recovery']> => {
  const { adapter } = batch
  const db = adapter.database.pool
  const brokenSince = state.discarded_at ?? state.broken_at
  if (brokenSince === null) {
    const wasBroken = !state.has_open_member && attempts.some(({ error }) => error !== null)
    return { state: wasBroken ? 'recovered' : 'none', reason: null }
  }
  const history = await findBatchHistory(db, facts, state, brokenSince)
  if (history.has_success_callback && !(needsProof(state) && (await isDiscardedLate(db, facts, state)))) {
    return { state: 'false_success', reason: 'a success callback was enqueued although a member was discarded' }
  }
  if (state.discarded_at === null) return { state: 'none', reason: null }
  if (!needsProof(state)) {
    return { state: 'waiting', reason: state.has_open_member ? 'members have not ended yet' : 'members are discarded' }
  }
  const proof = await proveRecovery(db, facts, state, checkOptionsOf(adapter), adapter.clock.now())
  return proof.kind === 'unproven'
    ? { state: 'unproven', reason: proof.reason }
    : { state: 'recoverable', reason: null }
}

const timeline = (
  batch: Batch,
  callbacks: readonly CallbackJob[],
  attempts: readonly BrokenAttempt[],
): TimelineEntry[] => {
  const times: readonly (readonly [Date | null, string])[] = [
    [batch.createdAt, 'created'],
    [batch.enqueuedAt, 'enqueued'],
    [batch.discardedAt, 'discarded'],
    [batch.jobsFinishedAt, 'all jobs ended'],
    [batch.finishedAt, 'finished'],
  ]
  const entries: TimelineEntry[] = times.flatMap(([at, event]) => (at === null ? [] : [{ at, event }]))
  for (const attempt of attempts) {
    const { error, error_backtrace } = attempt
    const event = error === null ? 'job recovered' : 'job broken'
    const reason = error === null ? '' : `: ${javaScriptText(error, javaScriptNameIn(error_backtrace))}`
    const detail = `${attempt.job_class ?? ''}${reason}`
    entries.push({ at: new Date(attempt.ended_at), event, jobId: attempt.job_id, detail })
  }
  for (const callback of callbacks) {
    const detail = callback.job_class ?? ''
    entries.push({
      at: new Date(callback.created_at),
      event: `${callback.event} callback enqueued`,
      jobId: callback.id,
      detail,
    })
    if (callback.finished_at !== null) {
      entries.push({
        at: new Date(callback.finished_at),
        event: `${callback.event} callback ${callback.state}`,
        jobId: callback.id,
        detail,
      })
    }
  }
  return entries.sort((a, b) => a.at.getTime() - b.at.getTime())
}
