import { EventEmitter } from 'node:events'
import type { CronEnqueued, CronFailed, CronSkipped } from './schedule/events.ts'

/** The fields that identify a job in an event; arguments are never included. */
export interface JobEvent {
  readonly jobId: string
  readonly jobClass: string
  readonly queueName: string | null
  readonly executions?: number
  /** Id of the worker process (good_job_processes.id), when a worker runs the job. */
  readonly processId?: string
}

export interface ProcessEvent {
  readonly processId: string
}

interface SubprocessEvent {
  readonly subprocessPid: number
  /** The number of the subprocess, from 0; its replacement has the same. */
  readonly index: number
}

export interface BatchEvent {
  readonly batchId: string
  readonly description: string | null
}

interface EnqueueEnd {
  readonly error?: unknown
  readonly aborted?: boolean
  readonly isInTransaction?: true
}

interface ScopeEvent {
  /** `label:<label>`, `key:<key>` or `all`. */
  readonly key: string
  /** The first job that waits. */
  readonly jobId: string
  readonly jobClass: string
}

interface ConcurrencyRefusal {
  /** `label:<label>`, `key:<key>` or `all`. */
  readonly key: string
  readonly limit: number
  readonly isInTransaction?: true
}

/**
 * Every event and its payload. The first group has the names of Active Job's notifications (without `.active_job`), the second group mixes
 * GoodJob's (without `.good_job`) with our own.
 */
export interface EventMap {
  /** `isInTransaction`: the row is part of the caller's transaction, which may still be rolled back. */
  enqueue: JobEvent & EnqueueEnd
  enqueue_at: JobEvent & EnqueueEnd & { readonly scheduledAt: Date }
  enqueue_all: {
    readonly jobClasses: Readonly<Record<string, number>>
    readonly enqueuedCount: number
    readonly jobCount: number
    readonly isInTransaction?: true
  }
  /** A concurrency rule refused a job: the jobs of the scope `key` have reached `limit`. */
  enqueue_concurrency_limit_exceeded: JobEvent & ConcurrencyRefusal
  /** A concurrency rule refused a job: `limit` jobs of the scope `key` were enqueued within the time of its throttle. */
  enqueue_concurrency_throttle_exceeded: JobEvent & ConcurrencyRefusal
  perform_start: JobEvent
  perform: JobEvent & {
    readonly durationMs: number
    readonly error?: unknown
    /** The worker had asked the job to stop before the error was thrown. */
    readonly isStopped?: boolean
    readonly aborted?: boolean
  }
  enqueue_retry: JobEvent & { readonly error?: unknown; readonly waitSeconds?: number }
  retry_stopped: JobEvent & { readonly error: unknown }
  discard: JobEvent & { readonly error: unknown }
  /** A retryOn or discardOn with `report` handled an error. Rails: the error reporter. */
  error_report: JobEvent & { readonly error: unknown; readonly severity: 'warning'; readonly source: string }
  interrupt: JobEvent & { readonly reason: string; readonly description: string }
  resume: JobEvent & { readonly description: string }
  step_started: JobEvent & { readonly step: string }
  step: JobEvent & { readonly step: string; readonly isInterrupted: boolean; readonly error?: unknown }
  step_skipped: JobEvent & { readonly step: string }

  perform_job: JobEvent & { readonly durationMs: number; readonly outcome: string; readonly error?: string }
  scheduler_create_pool: ProcessEvent & { readonly queues: string; readonly maxThreads: number }
  scheduler_shutdown_start: ProcessEvent
  scheduler_shutdown: ProcessEvent
  /** Postgres was unreachable during the shutdown: the jobs of this process run again as interrupted once its process row has expired. */
  scheduler_shutdown_incomplete: ProcessEvent & { readonly unwrittenOutcomes: number; readonly isRemoved: boolean }
  scheduler_shutdown_kill: ProcessEvent & { readonly activeJobIds: readonly string[] }
  notifier_listen: ProcessEvent
  notifier_unlisten: ProcessEvent
  notifier_notified: ProcessEvent & { readonly payload: string }
  /** LISTEN failed. Polls find jobs until it succeeds; attempt number `attempt` follows after a pause. */
  notifier_listen_failed: ProcessEvent & { readonly error: unknown; readonly attempt: number }
  notifier_notify_error: ProcessEvent & { readonly error: unknown }
  /** The session that holds the advisory locks was lost; the worker opens a new one. */
  lane_lost: ProcessEvent & { readonly heldLocks: number; readonly error: Error | undefined }
  /** The session no longer held the lock of an ended job, so other locks may be lost, too. A new session takes back the remaining locks. */
  lane_lock_missing: ProcessEvent & { readonly missingLocks: number; readonly heldLocks: number }
  lane_restored: ProcessEvent & { readonly keptLocks: number; readonly lostLocks: number }
  /** Postgres was unreachable; attempt number `attempt` follows after a pause. */
  connection_retry: ProcessEvent & { readonly part: string; readonly error: unknown; readonly attempt: number }
  /** A running job was asked to stop, because its row was finished (force-discarded), deleted, or released by another process. */
  job_withdrawn: JobEvent & { readonly lostBy: 'finished' | 'deleted' | 'released' }
  /** An outcome was dropped, because the row no longer belonged to this attempt. */
  outcome_lost: JobEvent & {
    readonly outcome: string
    readonly reason: string
    /** The worker stopped before the job had ended; it runs again. */
    readonly isInterrupted?: boolean
    /** The error that the job threw after it was asked to stop, unless it rethrew the abort reason. */
    readonly error?: unknown
  }
  /** Outcomes could not be written; the worker keeps them and tries again after a pause. */
  outcome_write_failed: ProcessEvent & { readonly jobs: number; readonly error: unknown; readonly attempt: number }
  /** Postgres refused the payload of an outcome, but accepted the outcome without it: the job ended with that refusal as its error. */
  outcome_refused: ProcessEvent & { readonly jobId: string; readonly outcome: string; readonly error: unknown }
  /** Outcomes wait for another session's lock on a batch or job; other outcomes continue. `jobId` is the first that waits. */
  outcome_held: ProcessEvent & { readonly lockedId: string; readonly jobId: string }
  /** A claim failed for a reason other than a lost connection. */
  claim_failed: ProcessEvent & { readonly queues: string; readonly error: unknown }
  /** An error outside of any job: in the worker, or in a listener of these events. */
  worker_error: Partial<ProcessEvent> & { readonly part: string; readonly error: unknown }
  /** The process made no progress: a job blocked the event loop, or the process was stopped. */
  process_stalled: ProcessEvent & { readonly stalledMs: number; readonly activeJobIds: readonly string[] }
  /** The clock of the machine was changed by `jumpedMs`. */
  clock_jumped: ProcessEvent & { readonly jumpedMs: number }
  /** A thread cannot use your pool's configuration: the heartbeat runs in the event loop, or starts are not deferred. */
  thread_unavailable: ProcessEvent & { readonly part: 'heartbeat' | 'deferred starts'; readonly reason: string }
  process_heartbeat_failed: ProcessEvent & { readonly error: string }
  /** No live worker will start these due jobs, because none serves the queue or none has the class. Emitted once per queue and class. */
  jobs_unserved: ProcessEvent & {
    readonly queueName: string | null
    readonly jobClass: string | null
    /** Number of jobs, counted up to 1,000. */
    readonly jobs: number
    readonly oldestAt: Date
    readonly lacks: 'queue' | 'class'
  }
  /** A concurrency rule refused a job at its start: `limit` jobs of the scope `key` run. Emitted when the scope becomes full, not for each job. */
  concurrency_limited: ProcessEvent & ScopeEvent & { readonly limit: number }
  /** The throttle of a concurrency rule is used up until `until`. Emitted when that begins, not for each job. */
  concurrency_throttled: ProcessEvent &
    ScopeEvent & { readonly count: number; readonly seconds: number; readonly until: Date }
  /** Places became free, and jobs that Ruby had refused may try again: one for each of `keys`. */
  concurrency_promoted: ProcessEvent & { readonly keys: readonly string[] }
  processes_released: ProcessEvent & { readonly ids: readonly string[]; readonly jobs: number }
  batch_callback_enqueued: BatchEvent & {
    readonly event: 'discard' | 'success' | 'finish'
    readonly jobClass: string
    readonly jobId: string
  }
  /** Concurrency rules refused members of a batch; the batch does not contain them. */
  batch_members_refused: BatchEvent & { readonly refused: number; readonly jobs: number }
  /** A batch was enqueued in a transaction that may see an old state of its jobs, so the next sweep checks it. */
  batch_check_left: BatchEvent
  /** Postgres refused the next step of a batch with its callbacks (`on_success NotifyJob`). The batch is unchanged; the sweep tries again. */
  batch_check_refused: BatchEvent & { readonly callbacks: readonly string[]; readonly error: unknown }
  batch_discarded: BatchEvent
  batch_completed: BatchEvent
  /** A discarded batch has recovered. */
  batch_recovered: BatchEvent & { readonly isFalseSuccess: boolean }
  /** The sweep completed a step that another process left undone. */
  batch_healed: BatchEvent & { readonly reason: 'owed_success' | 'owed_discard' | 'hung' | 'unfinished' }
  /** A discarded batch has no failed job any more, but its success cannot be proven. */
  batch_unproven: BatchEvent & { readonly reason: string }
  /** A batch is discarded, although a process that checked too early has already enqueued its success callback. */
  batch_false_success: BatchEvent
  batch_sweep: ProcessEvent & {
    readonly checked: number
    readonly healed: number
    readonly unproven: number
    readonly durationMs: number
  }
  /**
   * There was no sweep for `intervals` intervals in a row: the same transaction of another session held the sweep's lock each time, each
   * sweep failed, or one sweep is still running. Until the next sweep the steps that Ruby left undone stay undone.
   */
  batch_sweep_missed: ProcessEvent & { readonly intervals: number } & (
      | {
          readonly reason: 'held'
          readonly holder:
            | { readonly pid: number; readonly application: string | null; readonly since: string | null }
            | undefined
        }
      | { readonly reason: 'failed'; readonly error: unknown }
      | { readonly reason: 'running' }
    )
  /** A supervisor of several processes has started. */
  cluster_start: { readonly subprocesses: number }
  cluster_spawn: SubprocessEvent
  /** A subprocess has ended, by itself (`status`) or by a signal. */
  cluster_reap: SubprocessEvent & { readonly status: number | null; readonly signal: string | null }
  /** `restartCount` subprocesses in a row failed to start. The next one starts after `delay` seconds. */
  cluster_backoff: { readonly index: number; readonly restartCount: number; readonly delay: number }
  cluster_shutdown: { readonly subprocesses: number }
  subprocess_start: SubprocessEvent
  subprocess_shutdown_start: SubprocessEvent
  subprocess_shutdown: SubprocessEvent
  cron_enqueued: CronEnqueued
  cron_skipped: CronSkipped
  cron_failed: CronFailed
  cleanup_preserved_jobs: {
    readonly timestamp: Date
    readonly destroyedJobsCount: number
    readonly destroyedExecutionsCount: number
    readonly destroyedBatchesCount: number
  }
}

export type EventName = keyof EventMap
export type Listener<N extends EventName> = (payload: EventMap[N]) => void

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

/**
 * A typed emitter. A listener that throws or rejects never affects the emitting code: its error is emitted as `worker_error`, or as a process
 * warning if that event has no listener.
 */
export class Events {
  readonly #emitter = new EventEmitter({ captureRejections: false }).setMaxListeners(0)

  emit<N extends EventName>(name: N, payload: EventMap[N]): void {
    if (this.#emitter.listenerCount(name) === 0) return
    for (const listener of this.#emitter.listeners(name)) {
      try {
        const answer: unknown = listener(payload)
        if (isPromise(answer)) answer.then(undefined, (error) => this.#report(name, payload, error))
      } catch (error) {
        this.#report(name, payload, error)
      }
    }
  }

  // A failing listener of worker_error would receive its own failure again and again.
  #report(name: EventName, payload: unknown, error: unknown): void {
    if (name !== 'worker_error' && this.#emitter.listenerCount('worker_error') > 0) {
      const { processId } = payload as Partial<ProcessEvent>
      this.emit('worker_error', {
        ...(processId === undefined ? {} : { processId }),
        part: `listener of ${name}`,
        error,
      })
      return
    }
    process.emitWarning(`A listener of ${name} threw: ${textOf(error)}`)
  }

  on<N extends EventName>(name: N, listener: Listener<N>): this {
    this.#emitter.on(name, listener)
    return this
  }

  off<N extends EventName>(name: N, listener: Listener<N>): this {
    this.#emitter.off(name, listener)
    return this
  }

  /** Resolves with the next payload for which `matches` returns true. */
  async once<N extends EventName>(
    name: N,
    matches: (payload: EventMap[N]) => boolean = () => true,
    options: { signal?: AbortSignal } = {},
  ): Promise<EventMap[N]> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.off(name, listener)
        options.signal?.removeEventListener('abort', abort)
      }
      const abort = () => {
        stop()
        reject(options.signal?.reason)
      }
      const listener = (payload: EventMap[N]) => {
        if (!matches(payload)) return
        stop()
        resolve(payload)
      }
      options.signal?.addEventListener('abort', abort, { once: true })
      this.on(name, listener)
    })
  }
}

const textOf = (error: unknown): string => {
  try {
    return error instanceof Error ? String(error.stack) : String(error)
  } catch {
    return 'a value without a text'
  }
}

/** The emitter of this Node process for logs, metrics and tests, like ActiveSupport::Notifications in Ruby. */
export const events = new Events()
