import type { EnqueueAdapter } from '../enqueue/adapter.ts'
import { ActionForStateMismatchError, RecordAlreadyAdvisoryLockedError, RecordMissingError } from '../errors.ts'
import { lockOwnedJob, releaseOwnedJob } from '../sql/jobs/abandoned.ts'

/**
 * Releases a job whose owner has no process row any more and holds no advisory lock. The job runs again, as interrupted if it had started.
 * Only a person can know that a skiplocked owner is gone. @throws ActionForStateMismatchError, RecordAlreadyAdvisoryLockedError,
 * RecordMissingError
 */
export const releaseJob = ({ database }: EnqueueAdapter, jobId: string): Promise<void> =>
  database.transaction(async (db) => {
    const job = await lockOwnedJob(db, jobId)
    if (job === undefined) throw new RecordMissingError(`there is no job ${jobId}`)
    const refuse = (reason: string): never => {
      throw new ActionForStateMismatchError(`cannot release job ${jobId}: ${reason}`)
    }
    if (job.finished_at !== null) refuse('it is finished')
    if (job.locked_by_id === null) refuse('no process has it')
    if (job.owner !== null) {
      refuse(
        `process ${job.owner} has it and still has a process row; if that process is dead, any worker releases its jobs within minutes`,
      )
    }
    if (!job.is_lock_free) {
      throw new RecordAlreadyAdvisoryLockedError(`job ${jobId} is being performed: its advisory lock is held`)
    }
    await releaseOwnedJob(db, jobId)
  })
