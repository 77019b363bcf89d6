import { announceChecks, type CheckedBatch, checkBatches, lockTouchedBatches } from '../batch/completion/completion.ts'
import { checkOptionsOf } from '../batch/context.ts'
import { retryJobsOptions } from '../batch/retry-jobs-options.ts'
import type { EnqueueAdapter } from '../enqueue/adapter.ts'
import { ActionForStateMismatchError, RecordAlreadyAdvisoryLockedError, RecordMissingError } from '../errors.ts'
import type { Queryable } from '../sql/connection/queryable.ts'
import type { Facts } from '../sql/database.ts'
import {
  type ActionRow,
  destroyJobs,
  discardJobs,
  findBatchIdsOfJobs,
  lockJobsForAction,
  reopenBatches,
  rescheduleJobs,
  retryJobs,
} from '../sql/jobs/actions.ts'

interface Action {
  readonly db: Queryable
  readonly facts: Facts
  readonly job: ActionRow
  readonly now: string
}

/** Set when this action broke a member of the batch: the check needs the time. */
interface ActionResult {
  readonly brokenAt?: string
}

/**
 * Runs one action on one job: batch locks, row lock, the action, and the batch check in one transaction. For an action that Ruby refuses
 * while the job is performed, the job's advisory lock is taken first.
 */
const act = async (
  adapter: EnqueueAdapter,
  jobId: string,
  { needsLock }: { readonly needsLock: boolean },
  action: (context: Action) => Promise<ActionResult>,
): Promise<void> => {
  const { database, clock } = adapter
  const options = checkOptionsOf(adapter)
  const facts = await database.facts()
  let checked: CheckedBatch[] = []
  await database.transaction(async (db) => {
    const batchIds = await findBatchIdsOfJobs(db, [jobId])
    await lockTouchedBatches(db, batchIds)
    const [job] = await lockJobsForAction(db, [jobId])
    if (job === undefined) throw new RecordMissingError(`there is no job ${jobId}`)
    if (needsLock && !job.is_lock_free) {
      throw new RecordAlreadyAdvisoryLockedError(`job ${jobId} is being performed; wait for it, or force-discard it`)
    }
    const { brokenAt } = await action({ db, facts, job, now: clock.timestamp() })
    const touched = batchIds.map((id) => ({ id, brokenAt: id === job.batch_id ? brokenAt : undefined }))
    checked = await checkBatches(db, facts, touched, options)
  })
  announceChecks(checked, options)
}

const refuse = (job: ActionRow, verb: string, needed: string): never => {
  const state = job.finished_at === null ? 'unfinished' : job.error === null ? 'succeeded' : 'discarded'
  throw new ActionForStateMismatchError(`cannot ${verb} job ${job.id}: it is ${state}, only ${needed} jobs can`)
}

/** Runs a discarded job again; its batch waits for it again. @throws ActionForStateMismatchError, RecordAlreadyAdvisoryLockedError */
export const retryJob = (adapter: EnqueueAdapter, jobId: string): Promise<void> =>
  act(adapter, jobId, { needsLock: true }, async ({ db, facts, job, now }) => {
    if (job.finished_at === null || job.error === null) refuse(job, 'retry', 'discarded')
    await retryJobs(db, facts, [jobId], retryJobsOptions(adapter))
    await reopenBatches(db, facts, batchIdsOf(job), now)
    return {}
  })

/** Ends a waiting job as discarded. @throws ActionForStateMismatchError, RecordAlreadyAdvisoryLockedError */
export const discardJob = (adapter: EnqueueAdapter, jobId: string, message = 'Discarded manually'): Promise<void> =>
  discard(adapter, jobId, message, { needsLock: true })

/** Ends an unfinished job as discarded, even while it is performed: the outcome of that attempt is dropped. */
export const forceDiscardJob = (
  adapter: EnqueueAdapter,
  jobId: string,
  message = 'Force discarded manually',
): Promise<void> => discard(adapter, jobId, message, { needsLock: false })

const discard = (
  adapter: EnqueueAdapter,
  jobId: string,
  message: string,
  options: { readonly needsLock: boolean },
): Promise<void> =>
  act(adapter, jobId, options, async ({ db, facts, job, now }) => {
    if (job.finished_at !== null) refuse(job, 'discard', 'unfinished')
    await discardJobs(db, facts, [jobId], { now, error: `GoodJob::Job::DiscardJobError: ${message}` })
    return { brokenAt: now }
  })

/** Moves the start of a job that is not running. Workers learn of it at their next poll, as in GoodJob. */
export const rescheduleJob = (adapter: EnqueueAdapter, jobId: string, startsAt: Date): Promise<void> =>
  act(adapter, jobId, { needsLock: true }, async ({ db, job, now }) => {
    if (job.finished_at !== null) refuse(job, 'reschedule', 'unfinished')
    await rescheduleJobs(db, [jobId], startsAt.toISOString(), now)
    return {}
  })

/** Deletes a finished job with its executions. @throws ActionForStateMismatchError, RecordAlreadyAdvisoryLockedError */
export const destroyJob = (adapter: EnqueueAdapter, jobId: string): Promise<void> =>
  act(adapter, jobId, { needsLock: true }, async ({ db, job }) => {
    if (job.finished_at === null) refuse(job, 'destroy', 'finished')
    await destroyJobs(db, [jobId])
    return {}
  })

const batchIdsOf = (job: ActionRow): string[] => [job.batch_id, job.batch_callback_id].filter((id) => id !== null)
