import { ConfigurationError, GoodJobError } from '../../errors.ts'
import type { Job } from '../../job/base.ts'
import type { BatchReference } from '../../job/batch-reference.ts'
import { asError } from '../../job/exceptions/error-names.ts'
import type { Logger } from '../../job/logger.ts'
import type { Pauses, StoppingReason } from '../../job/pauses.ts'
import type { JobRun } from '../../job/run.ts'
import { jobToText } from '../../job/serialization.ts'
import type { RailsVersion } from '../../serialize/rails-version.ts'
import type { GlobalID } from '../../serialize/values/global-id.ts'
import type { Clock } from '../../time.ts'
import type { Reenqueue, StoredJob } from './execution.ts'
import { endOfTurn } from './turn.ts'

/** What a worker provides to all its runs. */
export interface WorkerContext
  extends Pick<JobRun, 'logger' | 'clock' | 'railsVersion' | 'processId' | 'locate' | 'paused'> {
  readonly isShuttingDown: () => boolean
}

/** Whether and why one job is asked to stop. */
export interface StopRequest {
  readonly signal: AbortSignal
  readonly isStopped: boolean
  stoppingReason(): StoppingReason | false
}

/** A run that a worker has started. It collects the re-enqueue, and failures of code that the job does not await. */
export class WorkerRun implements JobRun {
  readonly stored: StoredJob
  readonly #job: Job
  readonly #worker: WorkerContext
  readonly #stop: StopRequest
  #reenqueue: Reenqueue | null = null
  #failure: Error | undefined
  #hasEnded = false
  #logger: Logger | undefined
  #aborting: AbortController | undefined
  readonly #forwardAbort = () => this.#aborting?.abort(this.#stop.signal.reason)

  constructor(stored: StoredJob, job: Job, worker: WorkerContext, stop: StopRequest) {
    this.stored = stored
    this.#job = job
    this.#worker = worker
    this.#stop = stop
  }

  get clock(): Clock {
    return this.#worker.clock
  }

  get railsVersion(): RailsVersion {
    return this.#worker.railsVersion
  }

  get processId(): string | undefined {
    return this.#worker.processId
  }

  get locate(): ((gid: GlobalID) => Promise<unknown>) | undefined {
    return this.#worker.locate
  }

  get batch(): BatchReference | null {
    return this.stored.batch ?? null
  }

  get interruptedAt(): Date | null {
    return this.stored.interruptedAt
  }

  get rulesError(): Error | undefined {
    return this.stored.rulesError
  }

  get logger(): Logger {
    const { jobId, jobClass, queueName, executions } = this.#job
    this.#logger ??= this.#worker.logger.child({ jobId, jobClass, queueName, executions })
    return this.#logger
  }

  /** Aborts if the job is asked to stop, or fails while its `perform()` is still running. */
  get signal(): AbortSignal {
    if (!this.#aborting) {
      const { signal } = this.#stop
      this.#aborting = new AbortController()
      if (signal.aborted) this.#forwardAbort()
      else signal.addEventListener('abort', this.#forwardAbort, { once: true })
      if (this.#failure) this.#aborting.abort(this.#failure)
    }
    return this.#aborting.signal
  }

  get isStopped(): boolean {
    return this.#stop.isStopped
  }

  get paused(): (() => Promise<Pauses>) | undefined {
    return this.#worker.paused
  }

  /** GoodJob 4.23.1 adapter.rb#stopping?: the shutdown comes first. */
  stoppingReason(): StoppingReason | false {
    return this.#worker.isShuttingDown() ? 'stopping' : this.#stop.stoppingReason()
  }

  /** The last re-enqueue, which is written together with the outcome. */
  get reenqueued(): Reenqueue | null {
    return this.#reenqueue
  }

  reenqueue = (job: Job): void => {
    if (this.#hasEnded) throw new GoodJobError(`Job ${job.jobId} was enqueued again after its attempt had ended`)
    const { railsVersion, clock } = this.#worker
    const { scheduledAt } = job
    // An invalid date is an error of the job here: the hash of some Rails versions has no schedule that would refuse it.
    if (scheduledAt !== null && !isTime(scheduledAt)) {
      throw new ConfigurationError(`scheduledAt must be null or a valid Date, got ${String(scheduledAt)}`)
    }
    this.#reenqueue = {
      serializedParams: jobToText(job, { now: clock.now(), railsVersion }),
      jobClass: job.jobClass,
      queueName: job.queueName || 'default',
      priority: job.priority ?? 0,
      scheduledAt,
      createdAt: clock.timestamp(),
      labels: this.#changedLabels(job),
      notify: job.notify ?? job.jobConstructor.notify ?? true,
    }
  }

  /** Makes the run end with `error` as soon as its `perform()` has ended; false if the run has ended already. */
  fail(error: unknown): boolean {
    if (this.#hasEnded) return false
    this.#failure ??= asError(error)
    this.#aborting?.abort(this.#failure)
    return true
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  // Without such a handler an unhandled rejection ends the process, so there is nothing to wait for.
  lateFailures(): Promise<void> | undefined {
    return process.listenerCount('unhandledRejection') > 0 ? endOfTurn() : undefined
  }

  end(): void {
    this.#hasEnded = true
    if (this.#aborting) this.#stop.signal.removeEventListener('abort', this.#forwardAbort)
  }

  // GoodJob writes the labels of a retry only if the job has some; null leaves the column unchanged.
  #changedLabels(job: Job): readonly string[] | null {
    const { labels } = job
    const before = this.stored.labels ?? []
    const isSame = labels.length === before.length && labels.every((label, index) => label === before[index])
    return isSame || labels.length === 0 ? null : labels
  }
}

const isTime = (value: unknown): boolean => value instanceof Date && !Number.isNaN(value.getTime())
