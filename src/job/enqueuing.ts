import { ConcurrencyExceededError, ConfigurationError, CronConflictError, EnqueueError } from '../errors.ts'
import { events } from '../events.ts'
import type { AdapterOptions, CallerTransaction, QueueAdapter } from './adapters/queue-adapter.ts'
import { assertTransaction } from './adapters/transaction.ts'
import type { Job } from './base.ts'
import { ABORTED, runCallbacks } from './callbacks.ts'
import { currentEnqueueContext } from './context.ts'
import { declarationsOf } from './definition/declarations.ts'
import { assertEnqueueable, jobsOf, kindOf } from './enqueueable.ts'
import { jobEvent } from './job-event.ts'
import { applyOptions, assertKnownOptions, type EnqueueOptions, type RetryOptions } from './options.ts'
import { STATE } from './state.ts'

/** Whether the rows are part of a transaction of the caller, including that of a surrounding batch. */
const inTransactionOf = (transaction: CallerTransaction | undefined): { isInTransaction?: true } =>
  transaction || currentEnqueueContext().buffer?.transaction ? { isInTransaction: true } : {}

/** Enqueues one job inside its callbacks; returns whether it was stored. Active Job enqueuing.rb#enqueue. */
export const enqueueJob = async (job: Job, options: EnqueueOptions): Promise<boolean> => {
  applyOptions(job, options)
  if (!job[STATE].run.reenqueue) assertEnqueueable(job)
  job.successfullyEnqueued = false
  job.enqueueError = null
  const { scheduledAt } = job
  const inTransaction = inTransactionOf(job[STATE].transaction)
  let outcome: { error?: unknown; aborted?: boolean } = {}
  const announce = () => {
    // With n processes each occurrence is enqueued once and refused n - 1 times.
    if (job.enqueueError instanceof CronConflictError) return
    const event = { ...jobEvent(job), ...outcome, ...inTransaction }
    if (scheduledAt) events.emit('enqueue_at', { ...event, scheduledAt })
    else events.emit('enqueue', event)
  }
  try {
    const { isAborted } = await runCallbacks(job, declarationsOf(job.constructor).enqueue, () => deliver(job))
    if (job.enqueueError) outcome = { error: job.enqueueError }
    // GoodJob's check of concurrency rules is the last before callback, and aborts.
    if (isAborted) outcome = { aborted: true }
  } catch (error) {
    outcome = { error }
    throw error
  } finally {
    // A transaction is used for one enqueue only; it will have ended before the next.
    job[STATE].transaction = undefined
    const { buffer } = currentEnqueueContext()
    if (!job.successfullyEnqueued || !buffer?.has(job)) announce()
    else {
      buffer.whenStored((error) => {
        if (error !== undefined) outcome = { error }
        else if (job.enqueueError) outcome = { aborted: true }
        announce()
      })
    }
  }
  return job.successfullyEnqueued
}

// Catches the EnqueueError of a refusal, so that after callbacks still run. They do not run after the refusal of a concurrency rule, or for
// a cron occurrence that another process has enqueued.
const deliver = async (job: Job): Promise<typeof ABORTED | undefined> => {
  const { run, transaction } = job[STATE]
  try {
    if (run.reenqueue) reenqueue(job, run.reenqueue)
    else await (job[STATE].cron?.adapter ?? job.jobConstructor.queueAdapter).enqueue(job, { transaction })
    job.successfullyEnqueued = true
  } catch (error) {
    const isRefused = error instanceof ConcurrencyExceededError || error instanceof CronConflictError
    if (!isRefused && !(error instanceof EnqueueError)) throw error
    job.enqueueError = error
    if (isRefused) return ABORTED
  }
  return undefined
}

const reenqueue = (job: Job, again: (job: Job) => void): void => {
  if (job[STATE].transaction === undefined) again(job)
  else
    throw new ConfigurationError(
      `${job.jobClass}: a retry cannot be part of your transaction: its row is written with the outcome of this attempt; leave the option out`,
    )
}

/** Enqueues the running job again; its schedule, queue and priority in memory are restored. Active Job 8.1 exceptions.rb#retry_job. */
export const enqueueAgain = async (job: Job, { error, ...options }: RetryOptions): Promise<boolean> => {
  const { scheduledAt, queueName, priority } = job
  const hasSchedule = options.wait != null || options.waitUntil != null
  try {
    if (!hasSchedule && !job.jobConstructor.retryKeepsSchedule) job.scheduledAt = null
    const isEnqueued = await enqueueJob(job, options)
    if (isEnqueued && error !== undefined) job[STATE].retriedError = error
    if (!isEnqueued) job.logger.warn('A retry was not enqueued: a callback or the queue refused it')
    return isEnqueued
  } finally {
    Object.assign(job, { scheduledAt, queueName, priority })
    const wait = options.wait == null ? {} : { waitSeconds: options.wait }
    events.emit('enqueue_retry', { ...jobEvent(job), ...(error === undefined ? {} : { error }), ...wait })
  }
}

export interface PerformAllLaterOptions {
  /** A pg client with an open transaction for the INSERT. */
  readonly transaction?: CallerTransaction | null | undefined
}

/**
 * Enqueues many jobs with one statement per adapter, without enqueue callbacks and without a check of concurrency rules.
 * `successfullyEnqueued` of each job is true if it was stored. Active Job enqueuing.rb#perform_all_later.
 * @throws EnqueueError if jobs with the same id exist already; the other jobs are stored. Ruby does not throw
 */
export const performAllLater = async (
  jobs: readonly (Job | readonly Job[])[],
  options: PerformAllLaterOptions = {},
): Promise<void> => {
  await enqueueMany('performAllLater', jobs, { ...options, checksRules: false })
}

interface EnqueueManyOptions extends PerformAllLaterOptions {
  readonly checksRules: boolean
}

/** Enqueues the jobs of a list, and of the lists in it; returns them. `where` names the function that the user called. */
export const enqueueMany = async (
  where: string,
  jobs: readonly (Job | readonly Job[])[],
  { checksRules, ...options }: EnqueueManyOptions,
): Promise<Job[]> => {
  assertKnownOptions(where, options, ['transaction'])
  if (options.transaction != null) assertTransaction(where, options.transaction)
  if (!Array.isArray(jobs)) {
    throw new ConfigurationError(`${where} takes a list of jobs, such as ${where}([job]); got ${kindOf(jobs)}`)
  }
  const groups = new Map<QueueAdapter, Map<CallerTransaction | undefined, Set<Job>>>()
  const all = jobsOf(where, jobs)
  for (const job of all) {
    assertEnqueueable(job)
    const byTransaction = entry(
      groups,
      job.jobConstructor.queueAdapter,
      () => new Map<CallerTransaction | undefined, Set<Job>>(),
    )
    const transaction = transactionOf(where, job, options.transaction ?? undefined)
    entry(byTransaction, transaction, () => new Set<Job>()).add(job)
  }
  for (const [adapter, byTransaction] of groups) {
    for (const [transaction, group] of byTransaction)
      await enqueueGroup(adapter, [...group], { transaction, checksRules })
  }
  refuseUnstored(all)
  return all
}

const entry = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  const value = map.get(key) ?? make()
  map.set(key, value)
  return value
}

/** The transaction of the whole call, or that of the job. Throws ConfigurationError if both exist and differ. */
const transactionOf = (
  where: string,
  job: Job,
  given: CallerTransaction | undefined,
): CallerTransaction | undefined => {
  const own = job[STATE].transaction
  if (own === undefined || given === undefined || own === given) return given ?? own
  throw new ConfigurationError(
    `${where}: ${job.jobClass} ${job.jobId} was given another transaction by set(); give all of them one`,
  )
}

const enqueueGroup = async (adapter: QueueAdapter, jobs: readonly Job[], options: AdapterOptions): Promise<void> => {
  const jobClasses: Record<string, number> = {}
  for (const job of jobs) {
    job.successfullyEnqueued = false
    job.enqueueError = null
    job[STATE].transaction = undefined
    jobClasses[job.jobClass] = (jobClasses[job.jobClass] ?? 0) + 1
  }
  const event = { jobClasses, jobCount: jobs.length, ...inTransactionOf(options.transaction) }
  let enqueuedCount = 0
  const announce = () => events.emit('enqueue_all', { ...event, enqueuedCount })
  try {
    enqueuedCount = await adapter.enqueueAll(jobs, options)
  } finally {
    const { buffer } = currentEnqueueContext()
    const isBuffered = jobs.some((job) => buffer?.has(job))
    if (!isBuffered) announce()
    else {
      buffer?.whenStored((error) => {
        enqueuedCount = error === undefined ? jobs.filter((job) => job.successfullyEnqueued).length : 0
        announce()
      })
    }
  }
}

const refuseUnstored = (jobs: readonly Job[]): void => {
  const unstored = jobs.filter((job) => !job.successfullyEnqueued && job.enqueueError === null)
  const [first] = unstored
  if (first === undefined) return
  throw new EnqueueError(
    `${unstored.length} of ${jobs.length} jobs were not stored, because jobs with their ids exist already: ${first.jobClass} ${first.jobId}` +
      `${unstored.length > 1 ? ' and others' : ''}. The other jobs were stored: their successfullyEnqueued is true`,
  )
}
