import { EnqueueError } from '../errors.ts'
import { events } from '../events.ts'
import type { Job } from './base.ts'
import { runCallbacks } from './callbacks.ts'
import { declarationsOf } from './declarations.ts'
import { jobEvent } from './job-event.ts'
import { applyOptions, type EnqueueOptions, type RetryOptions } from './options.ts'
import type { Queryable, QueueAdapter } from './queue-adapter.ts'
import { STATE } from './state.ts'

/** Enqueues one job inside its callbacks; answers whether it was stored. Active Job enqueuing.rb#enqueue. */
export const enqueueJob = async (job: Job, options: EnqueueOptions): Promise<boolean> => {
  applyOptions(job, options)
  job.successfullyEnqueued = false
  job.enqueueError = null
  const { scheduledAt } = job
  let outcome: { error?: unknown; aborted?: boolean } = {}
  try {
    const { isAborted } = await runCallbacks(job, declarationsOf(job.constructor).enqueue, () => deliver(job))
    if (isAborted) outcome = { aborted: true }
    if (job.enqueueError) outcome = { error: job.enqueueError }
  } catch (error) {
    outcome = { error }
    throw error
  } finally {
    const event = { ...jobEvent(job), ...outcome }
    if (scheduledAt) events.emit('enqueue_at', { ...event, scheduledAt })
    else events.emit('enqueue', event)
  }
  return job.successfullyEnqueued
}

// The EnqueueError of a refusal is caught here, so that after callbacks still run.
const deliver = async (job: Job): Promise<void> => {
  const { run, transaction } = job[STATE]
  try {
    if (run.reenqueue) run.reenqueue(job)
    else await job.jobConstructor.queueAdapter.enqueue(job, { transaction })
    job.successfullyEnqueued = true
  } catch (error) {
    if (!(error instanceof EnqueueError)) throw error
    job.enqueueError = error
  }
}

/** Enqueues the running job again; its schedule, queue and priority in memory are as before. Active Job 8.1 exceptions.rb#retry_job. */
export const retryJob = async (job: Job, { error, ...options }: RetryOptions): Promise<boolean> => {
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
  /** A pg client with an open transaction to insert with. */
  readonly transaction?: Queryable | undefined
}

/**
 * Enqueues many jobs with one statement per adapter, without enqueue callbacks; `successfullyEnqueued` of each job
 * says whether it was stored. Active Job enqueuing.rb#perform_all_later.
 */
export const performAllLater = async (
  jobs: readonly (Job | readonly Job[])[],
  { transaction }: PerformAllLaterOptions = {},
): Promise<void> => {
  const groups = new Map<QueueAdapter, Job[]>()
  for (const job of jobs.flat()) {
    const adapter = job.jobConstructor.queueAdapter
    const group = groups.get(adapter)
    if (group) group.push(job)
    else groups.set(adapter, [job])
  }
  for (const [adapter, group] of groups) await enqueueGroup(adapter, group, transaction)
}

const enqueueGroup = async (
  adapter: QueueAdapter,
  jobs: readonly Job[],
  transaction: Queryable | undefined,
): Promise<void> => {
  const jobClasses: Record<string, number> = {}
  for (const job of jobs) {
    job.successfullyEnqueued = false
    job.enqueueError = null
    jobClasses[job.jobClass] = (jobClasses[job.jobClass] ?? 0) + 1
  }
  let enqueuedCount = 0
  try {
    enqueuedCount = await adapter.enqueueAll(jobs, { transaction })
  } finally {
    events.emit('enqueue_all', { jobClasses, enqueuedCount, jobCount: jobs.length })
  }
}
