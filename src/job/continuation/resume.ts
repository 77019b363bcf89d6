import { ContinuationError, ResumeLimitError } from '../../errors.ts'
import { events } from '../../events.ts'
import type { Job } from '../base.ts'
import type { Next } from '../callbacks.ts'
import { jobEvent } from '../job-event.ts'
import { continuationOf } from './continuation.ts'

/** An around callback that enqueues a job with steps again when it was interrupted. Active Job 8.1 continuable.rb#continue. */
export const continueJob = async (job: Job, next: Next): Promise<void> => {
  const continuation = continuationOf(job)
  if (continuation.isStarted) {
    continuation.resumptions += 1
    events.emit('resume', { ...jobEvent(job), description: continuation.description })
  }
  try {
    await next()
    continuation.rethrowInterrupt()
  } catch (error) {
    if (continuation.interrupt) return resume(job, continuation.interrupt)
    const isResumable = job.jobConstructor.resumeErrorsAfterAdvancing && continuation.isAdvanced
    if (error instanceof ContinuationError || !isResumable) throw error
    await resume(job, error)
  }
}

// Unlike Active Job, this adds no key to exception_executions, because one key per cursor would let the hash grow without limit. Rails 8.1
// adds the text of the interrupt, or for an error its inspected hash; later versions add the message. Such keys are kept unchanged.
const resume = async (job: Job, cause: unknown): Promise<void> => {
  const { maxResumptions, resumeOptions } = job.jobConstructor
  if (maxResumptions !== null && continuationOf(job).resumptions >= maxResumptions) {
    throw new ResumeLimitError(`Job was resumed a maximum of ${maxResumptions} times`, { cause })
  }
  if (!(await job.retryJob(resumeOptions))) throw cause
}
