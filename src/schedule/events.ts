import type { JobEvent, ProcessEvent } from '../events.ts'

interface CronEvent extends Partial<ProcessEvent> {
  /** The key of the entry. */
  readonly key: string
}

/** The job of a cron entry was enqueued for the occurrence `cronAt`. */
export interface CronEnqueued extends CronEvent, Pick<JobEvent, 'jobId' | 'jobClass' | 'queueName'> {
  readonly cronAt: Date
}

/**
 * - `disabled`: The entry was switched off, or is off by default.
 * - `duplicate`: Another process has enqueued the occurrence.
 * - `concurrency`: A concurrency rule refused the job.
 * - `aborted`: A callback refused the job.
 * - `no_class`: The class function returned none.
 * - `missed`: This occurrence, and perhaps later ones, passed while the process stood still.
 * - `clock_change`: The calculation skipped occurrences, because the clocks change over the first midnight of a month. In Ruby it raises,
 *   and the entry ends.
 * - `ended`: The schedule has no further occurrence.
 */
export type CronSkipReason =
  | 'disabled'
  | 'duplicate'
  | 'concurrency'
  | 'aborted'
  | 'no_class'
  | 'missed'
  | 'clock_change'
  | 'ended'

/** No job was enqueued for the occurrence `cronAt`. */
export interface CronSkipped extends CronEvent {
  readonly cronAt?: Date
  readonly reason: CronSkipReason
}

/** The part of an entry whose value could not be computed or used. */
export type CronPart = 'cron' | 'class' | 'args' | 'kwargs' | 'set' | 'enabledByDefault' | 'settings' | 'enqueue'

/** A part of an entry failed. */
export interface CronFailed extends CronEvent {
  readonly cronAt?: Date
  readonly part: CronPart
  readonly error: unknown
  /** Whether it is tried again; otherwise the occurrence is skipped. */
  readonly willRetry: boolean
}
