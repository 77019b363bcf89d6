import { EventEmitter } from 'node:events'

/** What a job event says about its job; arguments are never part of it. */
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

export interface BatchEvent {
  readonly batchId: string
  readonly description: string | null
}

interface EnqueueEnd {
  readonly error?: unknown
  readonly aborted?: boolean
  readonly isInTransaction?: true
}

/**
 * Every event and its payload. The first group carries the names of Active Job's notifications (suffix `.active_job`),
 * the second GoodJob's (suffix `.good_job`), the third is ours.
 */
export interface EventMap {
  /** `isInTransaction`: in one of the caller's, which may yet be rolled back. */
  enqueue: JobEvent & EnqueueEnd
  enqueue_at: JobEvent & EnqueueEnd & { readonly scheduledAt: Date }
  enqueue_all: {
    readonly jobClasses: Readonly<Record<string, number>>
    readonly enqueuedCount: number
    readonly jobCount: number
    readonly isInTransaction?: true
  }
  perform_start: JobEvent
  perform: JobEvent & {
    readonly durationMs: number
    readonly error?: unknown
    /** Beside an error: the worker had told the job to stop. */
    readonly isStopped?: boolean
    readonly aborted?: boolean
  }
  enqueue_retry: JobEvent & { readonly error?: unknown; readonly waitSeconds?: number }
  retry_stopped: JobEvent & { readonly error: unknown }
  discard: JobEvent & { readonly error: unknown }
  /** An error that a retryOn or discardOn with `report` took. Rails: the error reporter. */
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
  /** Postgres did not answer: the jobs of this process run again as interrupted when others take it for dead. */
  scheduler_shutdown_incomplete: ProcessEvent & { readonly unwrittenOutcomes: number; readonly isRemoved: boolean }
  scheduler_shutdown_kill: ProcessEvent & { readonly activeJobIds: readonly string[] }
  notifier_listen: ProcessEvent
  notifier_unlisten: ProcessEvent
  notifier_notified: ProcessEvent & { readonly payload: string }
  /** Jobs are found by polls until it listens; try `attempt` follows after a pause. */
  notifier_listen_failed: ProcessEvent & { readonly error: unknown; readonly attempt: number }
  notifier_notify_error: ProcessEvent & { readonly error: unknown }
  /** The session that holds advisory locks is gone; it is being opened again. */
  lane_lost: ProcessEvent & { readonly heldLocks: number; readonly error: Error | undefined }
  /** Locks of jobs that had ended were no longer there to be released: others may be gone, too. The session is given up, another takes them back. */
  lane_lock_missing: ProcessEvent & { readonly missingLocks: number; readonly heldLocks: number }
  lane_restored: ProcessEvent & { readonly keptLocks: number; readonly lostLocks: number }
  /** Postgres did not answer; try `attempt` follows after a pause. */
  connection_retry: ProcessEvent & { readonly part: string; readonly error: unknown; readonly attempt: number }
  /** A running job was asked to stop: its row was finished (force-discarded), deleted, or released by somebody else. */
  job_withdrawn: JobEvent & { readonly lostBy: 'finished' | 'deleted' | 'released' }
  /** An outcome was dropped: the row was no longer ours. */
  outcome_lost: JobEvent & {
    readonly outcome: string
    readonly reason: string
    /** The worker stopped before the job had ended; it runs again. */
    readonly isInterrupted?: boolean
    /** What the job threw when it was told to stop, unless that was the request itself. */
    readonly error?: unknown
  }
  /** Outcomes could not be written; they are kept and written after a pause. */
  outcome_write_failed: ProcessEvent & { readonly jobs: number; readonly error: unknown; readonly attempt: number }
  /** Postgres took the end of this job, but not with its payload: the job ended with that refusal as its error. */
  outcome_refused: ProcessEvent & { readonly jobId: string; readonly outcome: string; readonly error: unknown }
  /** Outcomes wait, apart from the others, for a lock that somebody holds on this batch or job; this is the first of them. */
  outcome_held: ProcessEvent & { readonly lockedId: string; readonly jobId: string }
  /** A claim failed for another reason than a lost connection. */
  claim_failed: ProcessEvent & { readonly queues: string; readonly error: unknown }
  /** Something outside any job went wrong in the worker, or in a listener of these events. */
  worker_error: Partial<ProcessEvent> & { readonly part: string; readonly error: unknown }
  /** The whole process stood still: a body blocked the event loop, or it was stopped. */
  process_stalled: ProcessEvent & { readonly stalledMs: number; readonly activeJobIds: readonly string[] }
  /** The clock of the machine was changed by so much. */
  clock_jumped: ProcessEvent & { readonly jumpedMs: number }
  /** The configuration of a pool of yours cannot be used in a thread: the event loop beats, or starts are not deferred. */
  thread_unavailable: ProcessEvent & { readonly part: 'heartbeat' | 'deferred starts'; readonly reason: string }
  process_heartbeat_failed: ProcessEvent & { readonly error: string }
  /** Due jobs that no live worker will start: none serves the queue, or none of those that do has the class. Once for each. */
  jobs_unserved: ProcessEvent & {
    readonly queueName: string | null
    readonly jobClass: string | null
    /** At most a thousand. */
    readonly jobs: number
    readonly oldestAt: Date
    readonly lacks: 'queue' | 'class'
  }
  processes_released: ProcessEvent & { readonly ids: readonly string[]; readonly jobs: number }
  batch_callback_enqueued: BatchEvent & {
    readonly event: 'discard' | 'success' | 'finish'
    readonly jobClass: string
    readonly jobId: string
  }
  /** A batch was armed in a transaction that may see an old state of its members: the next sweep checks it. */
  batch_check_left: BatchEvent
  /** The next step of a batch, with its callbacks (`on_success NotifyJob`), was refused: the batch stays as it was, and the sweep tries again. */
  batch_check_refused: BatchEvent & { readonly callbacks: readonly string[]; readonly error: unknown }
  batch_discarded: BatchEvent
  batch_completed: BatchEvent
  /** A discarded batch is good again. */
  batch_recovered: BatchEvent & { readonly isFalseSuccess: boolean }
  /** The sweep did a step that another process left undone. */
  batch_healed: BatchEvent & { readonly reason: 'owed_success' | 'owed_discard' | 'hung' | 'unfinished' }
  /** A discarded batch in which nothing is broken any more, but whose success cannot be proven. */
  batch_unproven: BatchEvent & { readonly reason: string }
  /** A batch is discarded and yet its success callback was fired, by a process that checked too early. */
  batch_false_success: BatchEvent
  batch_sweep: ProcessEvent & {
    readonly checked: number
    readonly healed: number
    readonly unproven: number
    readonly durationMs: number
  }
  /**
   * So many intervals in a row had no sweep: the same transaction of another session held its lock each time, each try failed, or
   * one that was begun does not end. Batches that Ruby left are not healed meanwhile.
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
 * A typed emitter. A listener that throws, or whose promise is rejected, never disturbs the emitting code: it is reported as `worker_error`,
 * and as a process warning where nobody listens to that.
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

  // A listener of worker_error that fails would be told of its own failure for ever.
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

  /** Resolves with the next payload for which `matches` holds. */
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

/** The emitter of this Node process, like ActiveSupport::Notifications in Ruby: logs, metrics and tests listen here. */
export const events = new Events()
