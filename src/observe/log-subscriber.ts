import { type EventMap, type EventName, type Events, type Listener, events as processEvents } from '../events.ts'
import { currentProcessId } from '../job/context.ts'
import { isError } from '../job/exceptions/error-reading.ts'
import type { Logger } from '../job/logger.ts'
import type { CronSkipReason } from '../schedule/events.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'
type Line = readonly [level: Level, sentence: string]

/** The level and the sentence of each event; the payload becomes the fields. The levels are Active Job's and GoodJob's. */
type Lines = { readonly [N in EventName]: Line | ((payload: EventMap[N]) => Line) }

const enqueued =
  (sentence: string) =>
  (payload: { readonly error?: unknown; readonly aborted?: boolean }): Line => {
    if (payload.error !== undefined) return ['error', 'Failed to enqueue a job']
    if (payload.aborted === true) return ['info', 'A callback or a concurrency rule stopped a job from being enqueued']
    return ['info', sentence]
  }

const cronSkipped = (reason: CronSkipReason): Line => {
  switch (reason) {
    case 'disabled':
      return ['debug', 'Skipped a disabled cron entry']
    case 'duplicate':
      return ['debug', 'Another process has enqueued the job of a cron entry']
    case 'missed':
      return ['warn', 'Missed occurrences of a cron entry']
    case 'clock_change':
      return ['warn', 'Skipped occurrences of a cron entry, because the clocks change at the start of a month']
    case 'ended':
      return ['warn', 'A cron entry has no further occurrence']
    default:
      return ['info', 'Enqueued no job for a cron entry']
  }
}

const LINES: Lines = {
  enqueue: enqueued('Enqueued a job'),
  enqueue_at: enqueued('Enqueued a job for later'),
  enqueue_all: ['info', 'Enqueued many jobs'],
  enqueue_concurrency_limit_exceeded: ['info', 'A concurrency rule refused a job because its limit is reached'],
  enqueue_concurrency_throttle_exceeded: ['info', 'A concurrency rule refused a job because its throttle is used up'],
  perform_start: ['info', 'Performing a job'],
  perform: ({ error, isStopped, aborted }) => {
    // The dropped outcome is logged separately.
    if (isStopped === true) return ['debug', 'A job that was asked to stop ended with an error']
    if (error !== undefined) return ['error', 'A job ended with an error']
    return ['info', aborted === true ? 'A callback stopped a job' : 'Performed a job']
  },
  enqueue_retry: ['info', 'Retrying a job'],
  retry_stopped: ['error', 'Stopped retrying a job'],
  discard: ['error', 'Discarded a job'],
  error_report: ['warn', 'A job reported an error'],
  interrupt: ['info', 'Interrupted a job'],
  resume: ['info', 'Resuming a job'],
  step_started: ['info', 'A step started'],
  step: ({ error, isInterrupted }) => {
    if (error !== undefined) return ['error', 'A step ended with an error']
    return ['info', isInterrupted ? 'A step was interrupted' : 'A step ended']
  },
  step_skipped: ['info', 'Skipped a completed step'],

  perform_job: ['debug', 'An attempt ended'],
  scheduler_create_pool: ['info', 'Started a pool'],
  scheduler_shutdown_start: ['info', 'Shutting down'],
  scheduler_shutdown: ['info', 'Shut down'],
  scheduler_shutdown_incomplete: [
    'error',
    'Shut down without reaching Postgres; the jobs of this process will run again',
  ],
  scheduler_shutdown_kill: ['info', 'Aborted the jobs that were still running'],
  notifier_listen: ['info', 'Listening for notifications'],
  notifier_unlisten: ['info', 'Stopped listening for notifications'],
  notifier_notified: ['debug', 'Received a notification'],
  notifier_listen_failed: ['warn', 'Could not listen for notifications; trying again'],
  notifier_notify_error: ['error', 'The notification listener reported an error'],
  lane_lost: ['error', 'Lost the connection that holds the locks of running jobs'],
  lane_lock_missing: ['error', 'A connection lost locks of running jobs; a new connection takes the remaining locks'],
  lane_restored: ({ lostLocks }) => [lostLocks > 0 ? 'warn' : 'info', 'Restored the locks of jobs'],
  connection_retry: ['warn', 'Postgres does not respond; trying again'],
  job_withdrawn: ['warn', 'Asked a running job to stop because another session discarded, deleted or released it'],
  outcome_lost: ({ isInterrupted }) => {
    if (isInterrupted === true) return ['info', 'The shutdown interrupted a job; it will run again']
    return ['warn', 'Dropped the outcome of a job that this worker no longer owns']
  },
  outcome_held: ['warn', 'Outcomes are waiting for a lock held by another session; other outcomes continue'],
  outcome_write_failed: ['error', 'Could not write outcomes; keeping them to try again'],
  outcome_refused: ['error', 'Postgres refused the outcome of a job; the job ended with that error instead'],
  claim_failed: ['error', 'Could not claim jobs'],
  worker_error: ['error', 'An error occurred in the worker'],
  process_stalled: ['warn', 'The process stood still; a job blocked the event loop, or the process was stopped'],
  clock_jumped: ['warn', 'The clock of this machine was changed'],
  thread_unavailable: ['warn', 'A thread was not started because it cannot use the settings of the pool'],
  process_heartbeat_failed: ['warn', 'Could not refresh the process row'],
  jobs_unserved: ({ lacks }) => [
    'warn',
    lacks === 'queue'
      ? 'Due jobs are waiting in a queue that no live worker serves'
      : 'Due jobs are waiting, but no live worker of their queue has their class',
  ],
  concurrency_limited: ['info', 'Jobs wait, because a concurrency limit is reached'],
  concurrency_throttled: ['info', 'Jobs wait, because a concurrency throttle is used up'],
  concurrency_promoted: ['debug', 'Made jobs due that a Ruby worker had refused'],
  processes_released: ['warn', 'Released the jobs of dead processes'],
  batch_callback_enqueued: ['info', 'Enqueued a callback of a batch'],
  batch_members_refused: ({ refused, jobs }) => [
    refused === jobs ? 'warn' : 'info',
    'Concurrency rules refused jobs of a batch; the batch does not contain them',
  ],
  batch_check_left: ['info', 'Left the check of a batch to the sweep because the transaction is not READ COMMITTED'],
  batch_check_refused: [
    'error',
    'Could not write the next step of a batch and its callbacks; the next sweep tries again',
  ],
  batch_discarded: ['warn', 'A batch was discarded'],
  batch_completed: ['info', 'All jobs of a batch have ended'],
  batch_recovered: ['info', 'A discarded batch recovered'],
  batch_healed: ['warn', 'The sweep completed a step of a batch that another process left undone'],
  batch_unproven: ['warn', 'A discarded batch may have succeeded, but that cannot be proven'],
  batch_false_success: ['warn', 'The success callback of a batch was enqueued although a job was discarded'],
  batch_sweep: ({ healed, unproven }) => [healed + unproven > 0 ? 'info' : 'debug', 'Swept the batches'],
  batch_sweep_missed: ['warn', 'No batch sweep for several intervals; batches that Ruby left undone stay so'],
  cluster_start: ['info', 'Started the supervisor of several processes'],
  cluster_spawn: ['info', 'Forked a subprocess'],
  cluster_reap: ({ status }) => [status === 0 ? 'info' : 'warn', 'A subprocess ended'],
  cluster_backoff: ['warn', 'Subprocesses fail to start; waiting before the next one'],
  cluster_shutdown: ['info', 'The supervisor is shut down'],
  subprocess_start: ['info', 'Started a subprocess'],
  subprocess_shutdown_start: ['info', 'Shutting down a subprocess'],
  subprocess_shutdown: ['info', 'A subprocess is shut down'],
  cron_enqueued: ['info', 'Enqueued the job of a cron entry'],
  cron_skipped: ({ reason }) => cronSkipped(reason),
  cron_failed: ['error', 'A cron entry failed; it has its next occurrence'],
  cleanup_preserved_jobs: ['info', 'Deleted old records'],
}

export interface LogSubscriberOptions {
  /** Only events of this worker (`capsule.processId`), and events that belong to no worker. */
  readonly processId?: string
  readonly events?: Events
}

/** An active subscriber; the set keeps them in the order in which they were attached. */
interface Subscriber {
  readonly logger: Logger
  readonly processId: string | undefined
  readonly events: Events
}

const subscribers = new Set<Subscriber>()

/**
 * Writes one line for each event. Job arguments are never among its fields. Errors are under `err`, where pino writes their stack and
 * causes. A Capsule with a logger does this itself. @returns a function that detaches the subscriber
 */
export const attachLogSubscriber = (
  logger: Logger,
  { processId, events = processEvents }: LogSubscriberOptions = {},
): (() => void) => {
  const subscriber: Subscriber = { logger, processId, events }
  subscribers.add(subscriber)
  const detach = (Object.keys(LINES) as EventName[]).map((name) => subscribe(subscriber, name))
  return () => {
    subscribers.delete(subscriber)
    for (const end of detach) end()
  }
}

const subscribe = <N extends EventName>(subscriber: Subscriber, name: N): (() => void) => {
  const { events, logger } = subscriber
  const line = LINES[name] as Line | ((payload: EventMap[N]) => Line)
  const listener: Listener<N> = (payload) => {
    if (!isOurs(subscriber, payload as { readonly processId?: string })) return
    const [level, sentence] = typeof line === 'function' ? line(payload) : line
    logger[level]({ event: name, ...fieldsOf(payload) }, sentence)
  }
  events.on(name, listener)
  return () => void events.off(name, listener)
}

/**
 * Whether this subscriber writes an event. A subscriber bound to a worker ignores events of other workers. An event that belongs to no
 * worker, such as an enqueue of the host, is written by the first bound subscriber. One logger never writes an event twice.
 */
const isOurs = (subscriber: Subscriber, payload: { readonly processId?: string }): boolean => {
  const { processId, logger, events } = subscriber
  if (processId === undefined) return true
  const rivals = [...subscribers].filter((each) => each.events === events)
  if (rivals.some((each) => each.processId === undefined && each.logger === logger)) return false
  const of = payload.processId ?? currentProcessId()
  if (of !== undefined) return of === processId
  return rivals.find((each) => each.processId !== undefined) === subscriber
}

/** The payload's own fields: an error under the name that pino expects, times rounded to the microsecond. */
const fieldsOf = (payload: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(payload)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => (isError(value) && name === 'error' ? ['err', value] : [name, fieldOf(name, value)])),
  )

const fieldOf = (name: string, value: unknown): unknown => {
  if (typeof value === 'number' && name.endsWith('Ms')) return Math.round(value * 1000) / 1000
  return name === 'error' && typeof value === 'object' ? String(value) : value
}
