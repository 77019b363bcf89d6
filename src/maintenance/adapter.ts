import { Cron } from '../cron/steering.ts'
import { EnqueueAdapter } from '../enqueue/adapter.ts'
import { setDefaultQueueAdapter } from '../job/adapters/queue-adapter.ts'
import type { Pauses } from '../job/pauses.ts'
import { destroyJob, discardJob, forceDiscardJob, rescheduleJob, retryJob } from './job-actions.ts'
import { releaseJob } from './job-release.ts'
import { type PauseTarget, pausedJobs, pauseJobs, unpauseJobs } from './pauses.ts'
import type { JobExplanation } from './why/reasons.ts'
import { why } from './why/why.ts'

/**
 * The entry point to good_jobs: enqueues jobs and performs the dashboard's actions on single jobs, with the batch check in the same
 * transaction. GoodJob: GoodJob::Adapter and the actions of GoodJob::Job.
 */
export class Adapter extends EnqueueAdapter {
  /** Shows, runs and switches the entries of the option `cron`. */
  readonly cron: Cron = new Cron(this)

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

  /**
   * Releases a job of a worker that is gone for good; the job runs again. @throws ActionForStateMismatchError,
   * RecordAlreadyAdvisoryLockedError, RecordMissingError
   */
  releaseJob(jobId: string): Promise<void> {
    return releaseJob(this, jobId)
  }

  /** Explains why a job is as it is: ended, running, abandoned, or what it waits for. Only reads. @returns reason 'missing' if there is no such job */
  why(jobId: string): Promise<JobExplanation> {
    return why(this, jobId)
  }

  /** Pauses a queue, class or label: workers that honour pauses start no jobs of it. GoodJob: GoodJob.pause. @throws ConfigurationError */
  pause(target: PauseTarget): Promise<void> {
    return pauseJobs(this, target)
  }

  /** Ends a pause. Workers notice at their next poll. @returns whether there was a pause @throws ConfigurationError */
  unpause(target: PauseTarget): Promise<boolean> {
    return unpauseJobs(this, target)
  }

  /** What is paused now. */
  paused(): Promise<Pauses> {
    return pausedJobs(this)
  }
}

let environmentAdapter: Adapter | undefined

/** The adapter that the environment describes (DATABASE_URL, GOOD_JOB_*), created on first use. */
const defaultAdapter = (): Adapter => {
  environmentAdapter ??= new Adapter()
  return environmentAdapter
}

setDefaultQueueAdapter(defaultAdapter)
