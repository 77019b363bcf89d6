import { ConcurrencyExceededError, CronConflictError } from '../errors.ts'
import { events } from '../events.ts'
import type { Job } from '../job/base.ts'
import type { CronSkipReason } from '../schedule/events.ts'
import type { CronEntry } from './entry.ts'
import { inPart, partOf } from './failure.ts'
import { makeJob, type OccurrenceOptions } from './job.ts'

/** Fields of every event of an entry; `processId` if a worker runs it. */
export interface CronSource {
  readonly processId?: string
}

/**
 * Enqueues the job of one occurrence; the unique index on cron_key and cron_at lets one process of all do it. Emits what happened.
 * @returns undefined if nothing was enqueued
 * @throws CronPartError, and what the enqueue throws
 */
export const enqueueOccurrence = async (
  entry: CronEntry,
  at: Date,
  source: CronSource,
  options: OccurrenceOptions = {},
): Promise<Job | undefined> => {
  const job = await makeJob(entry, at, options)
  if (job === undefined) {
    skip(entry, at, source, 'no_class')
    return undefined
  }
  if ((await inPart('enqueue', () => job.enqueue())) === false) {
    skip(entry, at, source, reasonOf(job))
    return undefined
  }
  const { jobId, jobClass, queueName } = job
  events.emit('cron_enqueued', { ...source, key: entry.key, cronAt: at, jobId, jobClass, queueName })
  return job
}

const reasonOf = ({ enqueueError }: Job): CronSkipReason => {
  if (enqueueError instanceof CronConflictError) return 'duplicate'
  return enqueueError instanceof ConcurrencyExceededError ? 'concurrency' : 'aborted'
}

export const skip = (entry: CronEntry, at: Date | undefined, source: CronSource, reason: CronSkipReason): void => {
  events.emit('cron_skipped', { ...source, key: entry.key, ...(at && { cronAt: at }), reason })
}

/** Emits an error of an entry. The worker continues, and the entry has its next occurrence. */
export const reportFailure = (
  entry: CronEntry,
  at: Date | undefined,
  source: CronSource,
  thrown: unknown,
  willRetry = false,
): void => {
  const { part, error } = partOf(thrown)
  events.emit('cron_failed', { ...source, key: entry.key, ...(at && { cronAt: at }), part, error, willRetry })
}
