import { Adapter as EnqueueAdapter } from '../enqueue/adapter.ts'
import { setDefaultQueueAdapter } from '../job/queue-adapter.ts'
import { destroyJob, discardJob, forceDiscardJob, rescheduleJob, retryJob } from './job-actions.ts'

/**
 * The door to good_jobs: enqueues jobs, and does to single jobs what the dashboard's buttons do, with the batch check in the same
 * transaction. GoodJob: GoodJob::Adapter and the actions of GoodJob::Job.
 */
export class Adapter extends EnqueueAdapter {
  /** Runs a discarded job again. @throws ActionForStateMismatchError, RecordAlreadyAdvisoryLockedError, RecordMissingError */
  retryJob(jobId: string): Promise<void> {
    return retryJob(this, jobId)
  }

  /** Ends a waiting job as discarded. @throws ActionForStateMismatchError, RecordAlreadyAdvisoryLockedError, RecordMissingError */
  discardJob(jobId: string, message?: string): Promise<void> {
    return discardJob(this, jobId, message)
  }

  /** Ends an unfinished job as discarded, even while it runs. @throws ActionForStateMismatchError, RecordMissingError */
  forceDiscardJob(jobId: string, message?: string): Promise<void> {
    return forceDiscardJob(this, jobId, message)
  }

  /** Moves the start of an unfinished job; workers learn of it at their next poll. */
  rescheduleJob(jobId: string, startsAt: Date): Promise<void> {
    return rescheduleJob(this, jobId, startsAt)
  }

  /** Deletes a finished job with its executions. */
  destroyJob(jobId: string): Promise<void> {
    return destroyJob(this, jobId)
  }
}

let environmentAdapter: Adapter | undefined

/** The adapter that the environment describes (DATABASE_URL, GOOD_JOB_*), made at the first use. */
const defaultAdapter = (): Adapter => {
  environmentAdapter ??= new Adapter()
  return environmentAdapter
}

setDefaultQueueAdapter(defaultAdapter)
