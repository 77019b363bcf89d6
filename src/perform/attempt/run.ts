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
import type { Attempt, AttemptContext, Reenqueue } from './execution.ts'
import { endOfTurn } from './turn.ts'

/** The run of one attempt's job: it collects re-enqueues, and failures outside of the awaited code. */
export class AttemptRun implements JobRun {
  readonly attempt: Attempt
  readonly #context: AttemptContext
  readonly #job: Job
  #reenqueue: Reenqueue | null = null
  #failure: Error | undefined
  #hasEnded = false
  #logger: Logger | undefined
  #aborting: AbortController | undefined
  readonly #forwardAbort = () => this.#aborting?.abort(this.#context.signal.reason)

  constructor(attempt: Attempt, context: AttemptContext, job: Job) {
    this.attempt = attempt
    this.#context = context
    this.#job = job
  }

  get clock(): Clock {
    return this.#context.clock
  }

  get railsVersion(): RailsVersion {
    return this.#context.railsVersion
  }

  get processId(): string | undefined {
    return this.#context.processId
  }

  get locate(): ((gid: GlobalID) => Promise<unknown>) | undefined {
    return this.#context.locate
  }

  get batch(): BatchReference | null {
    return this.attempt.batch ?? null
  }

  get interruptedAt(): Date | null {
    return this.attempt.interruptedAt
  }

  get logger(): Logger {
    const { jobId, jobClass, queueName, executions } = this.#job
    this.#logger ??= this.#context.logger.child({ jobId, jobClass, queueName, executions })
    return this.#logger
  }

  /** The worker's signal, which also aborts if this attempt fails while its `perform()` is still running. */
  get signal(): AbortSignal {
    if (!this.#aborting) {
      const { signal } = this.#context
      this.#aborting = new AbortController()
      if (signal.aborted) this.#forwardAbort()
      else signal.addEventListener('abort', this.#forwardAbort, { once: true })
      if (this.#failure) this.#aborting.abort(this.#failure)
    }
    return this.#aborting.signal
  }

  get isStopped(): boolean {
    return this.#context.signal.aborted
  }

  get paused(): (() => Promise<Pauses>) | undefined {
    return this.#context.paused
  }

  stoppingReason = (): StoppingReason | false =>
    this.#context.stoppingReason?.() ?? (this.#context.signal.aborted && 'stopping')

  /** The last re-enqueue, which is written together with the outcome. */
  get reenqueued(): Reenqueue | null {
    return this.#reenqueue
  }

  reenqueue = (job: Job): void => {
    if (this.#hasEnded) throw new GoodJobError(`Job ${job.jobId} was enqueued again after its attempt had ended`)
    const { railsVersion, clock } = this.#context
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

  /** Makes the attempt end with `error` as soon as its `perform()` has ended; false if it has ended already. */
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
  lateFailures = (): Promise<void> | undefined =>
    process.listenerCount('unhandledRejection') > 0 ? endOfTurn() : undefined

  end(): void {
    this.#hasEnded = true
    if (this.#aborting) this.#context.signal.removeEventListener('abort', this.#forwardAbort)
  }

  // GoodJob writes the labels of a retry only if the job has some; null leaves the column unchanged.
  #changedLabels(job: Job): readonly string[] | null {
    const { labels } = job
    const before = this.attempt.labels ?? []
    const isSame = labels.length === before.length && labels.every((label, index) => label === before[index])
    return isSame || labels.length === 0 ? null : labels
  }
}

const isTime = (value: unknown): boolean => value instanceof Date && !Number.isNaN(value.getTime())
