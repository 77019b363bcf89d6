import { nearest } from '../configuration-values.ts'
import { ConfigurationError } from '../errors.ts'
import { laterBy } from '../time.ts'
import type { CallerTransaction } from './adapters/queue-adapter.ts'
import { assertTransaction } from './adapters/transaction.ts'
import type { Job } from './base.ts'
import { withAppliedLabels } from './concurrency/evaluation.ts'
import { queueNameFromPart } from './definition/naming.ts'
import { STATE } from './state.ts'

/** Options of one enqueue. For null and undefined the value of the class applies. */
export interface EnqueueOptions {
  /** Seconds from now; 0 schedules the job for now; fractions are allowed. */
  readonly wait?: number | null | undefined
  /** The time at which the job becomes due; takes precedence over `wait`. */
  readonly waitUntil?: Date | null | undefined
  /** Queue name without the class's prefix, which is added. */
  readonly queue?: string | null | undefined
  /** Jobs with a smaller number run first. */
  readonly priority?: number | null | undefined
  /** GoodJob labels, in place of the class's; those of rules with `applyLabel` are added. */
  readonly labels?: readonly string[] | null | undefined
  /** Whether to send a NOTIFY to the workers (GoodJob: good_job_notify). Without it, they find the job at their next poll. */
  readonly notify?: boolean | null | undefined
  /** A pg client with an open transaction, used for this enqueue only. */
  readonly transaction?: CallerTransaction | null | undefined
}

export interface RetryOptions extends EnqueueOptions {
  /** The reason for the retry, recorded with the attempt. Without an error the attempt counts as succeeded. */
  readonly error?: unknown
}

const ENQUEUE_OPTIONS = ['wait', 'waitUntil', 'queue', 'priority', 'labels', 'notify', 'transaction'] as const

/** Throws ConfigurationError for an unknown key; the message suggests the option that was probably meant. */
export const assertKnownOptions = (of: string, options: object, known: readonly string[]): void => {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    const meant = nearest(key, known)
    const wayOut = meant ? `did you mean ${meant}?` : `known are ${known.join(', ')}`
    throw new ConfigurationError(`${of} has no option "${key}": ${wayOut}`)
  }
}

/** Applies options to a job. Active Job core.rb#set. */
export const applyOptions = (job: Job, options: EnqueueOptions): void => {
  const of = `${job.jobConstructor.name}.set`
  assertKnownOptions(of, options, ENQUEUE_OPTIONS)
  const { wait, waitUntil, queue, priority, labels, notify, transaction } = options
  if (wait != null) job.scheduledAt = timeAfter(job, wait)
  if (waitUntil != null) job.scheduledAt = validTime(waitUntil)
  if (queue != null) job.queueName = queueNameFromPart(job.jobConstructor, queue)
  if (priority != null) job.priority = validPriority(priority)
  if (labels != null) job.labels = withAppliedLabels(job, labels)
  if (notify != null) job.notify = notify
  if (transaction != null) {
    assertTransaction(of, transaction)
    job[STATE].transaction = transaction
  }
}

const timeAfter = (job: Job, seconds: number): Date => {
  const time = laterBy(job[STATE].run.clock.now(), seconds)
  if (typeof seconds === 'number' && !Number.isNaN(time.getTime())) return time
  throw new ConfigurationError(`wait must be a number of seconds, got ${String(seconds)}`)
}

const validTime = (time: Date): Date => {
  if (time instanceof Date && !Number.isNaN(time.getTime())) return time
  throw new ConfigurationError(`waitUntil must be a valid Date, got ${String(time)}`)
}

const INT4_MAX = 2 ** 31 - 1

/** A priority for the integer column: a numeric string is converted, and a fraction is cut off. */
export const validPriority = (priority: number): number => {
  const integer = Math.trunc(Number(priority))
  if (Math.abs(integer) <= INT4_MAX) return integer + 0
  throw new ConfigurationError(`priority must be an integer of 32 bits, got ${String(priority)}`)
}
