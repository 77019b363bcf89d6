import type { DeserializeOptions, SerializeOptions } from '../serialize/arguments/arguments.ts'
import { ianaTimeZone } from '../serialize/values/time-zones.ts'
import { uuidV7 } from '../uuid.ts'
import { assignQueueAdapter, type QueueAdapter, resolveQueueAdapter } from './adapters/queue-adapter.ts'
import type { JobBatch } from './batch-reference.ts'
import { withAppliedLabels } from './concurrency/evaluation.ts'
import { ConfiguredJob } from './configured-job.ts'
import { currentJob } from './context.ts'
import { continuationOf } from './continuation/continuation.ts'
import type { StepBody, StepOptions } from './continuation/step.ts'
import { JobClassMethods } from './definition/class-methods.ts'
import { jobClassName, normalizeLabels, queueNameFromPart } from './definition/naming.ts'
import { enqueueAgain, enqueueJob } from './enqueuing.ts'
import type { Logger } from './logger.ts'
import { applyOptions, type EnqueueOptions, type RetryOptions, validPriority } from './options.ts'
import { pauseReason, type StoppingReason } from './pauses.ts'
import { type PerformResult, performNow } from './performing.ts'
import { JobInternals, STATE } from './state.ts'

/** A value, or a function that computes it from the job at the first read. */
export type JobValue<V> = V | { bivarianceHack(job: Job): V }['bivarianceHack']

// `never[]` lets a subclass declare any parameters; a Job<[…]> declares its own.
type PerformParameters<A extends readonly unknown[]> = readonly unknown[] extends A ? never[] : A

/** The arguments of a job class, as its `perform` declares them. */
export type PerformArguments<T extends Job> = T extends { perform(...args: infer A): unknown } ? A : never

type JobStatics = { [K in keyof typeof Job]: (typeof Job)[K] }

/** A job class, including abstract ones. */
export type JobClass<T extends Job = Job> = (abstract new (...args: never[]) => T) & JobStatics

/** A job class with a constructor: its jobs can be created, registered and enqueued. */
export type JobConstructor<T extends Job = Job> = (new (...args: never[]) => T) & JobStatics

/**
 * A unit of work. A subclass declares `perform`, the queue and how errors are handled; an instance is one job. TypeScript checks the
 * arguments of `performLater`, `performNow` and `set` against `perform`, and for a `Job<[id: number]>` also those of `new`.
 */
export abstract class Job<Arguments extends readonly unknown[] = readonly unknown[]> extends JobClassMethods {
  /**
   * The name in the queue and in Ruby, such as 'Media::ThumbnailJob'. Required if a build tool may have generated the name of the class
   * (`o`, `_MailJob`, `default`). @default the name of the class
   */
  declare static jobClass: string
  /** Former names of this class: jobs that wait under them are run, too. A retry stores the new name. @default [] */
  declare static formerNames: readonly string[]
  /** Queue name without the prefix; null: `defaultQueueName`. @default null */
  static queueAs: JobValue<string> | null = null
  /** Jobs with a smaller number run first; null counts as 0. @default null */
  static priority: JobValue<number> | null = null
  /** GoodJob labels. @default [] */
  static labels: JobValue<readonly string[]> = []
  /** Whether an enqueue sends a NOTIFY to the workers (good_job_notify); null: the adapter decides. @default null */
  static notify: boolean | null = null
  /** Whether an InterruptError is thrown in place of `perform` after an attempt that wrote no outcome. @default false */
  static interruptErrors: boolean = false
  /** Whether `perform` uses `step` and continues where it was interrupted. @default false */
  static continuable: boolean = false
  /** Maximum number of resumptions; a further one throws ResumeLimitError. null: no limit. @default null */
  static maxResumptions: number | null = null
  /** Options with which an interrupted job is enqueued again. @default { wait: 5 } */
  static resumeOptions: EnqueueOptions = { wait: 5 }
  /** Whether the job is resumed, without retryOn, if it made progress before an error. @default true */
  static resumeErrorsAfterAdvancing: boolean = true
  /** Maximum share that is randomly added to the waits of retryOn. @default 0.15, as in a Rails application */
  static retryJitter: number = 0.15
  /** Whether a retry without a wait keeps the job's `scheduledAt`, as in Active Job 7.1 and later. @default true */
  static retryKeepsSchedule: boolean = true
  /** Prefix of every queue name, joined by the delimiter. @default null */
  static queueNamePrefix: string | null = null
  /** @default '_' */
  static queueNameDelimiter: string = '_'
  /** @default 'default' */
  static defaultQueueName: string = 'default'
  /** Locale of jobs that are created outside of another job. @default 'en' */
  static defaultLocale: string | null = 'en'
  /** Rails or IANA time zone of jobs that are created outside of another job. @default 'UTC' */
  static defaultTimezone: string | null = 'UTC'
  /** Options for the serialization of this class's arguments. @default {} */
  static argumentOptions: SerializeOptions & DeserializeOptions = {}

  /** The adapter of this class and its subclasses. Throws ConfigurationError when there is none. */
  static get queueAdapter(): QueueAdapter {
    return resolveQueueAdapter(this)
  }

  static set queueAdapter(adapter: QueueAdapter) {
    assignQueueAdapter(this, adapter)
  }

  /** Enqueues a job. Resolves with false if a callback aborted it or the adapter refused it. */
  static performLater<T extends Job>(this: JobConstructor<T>, ...args: PerformArguments<T>): Promise<T | false> {
    return new ConfiguredJob<T>(this, {}).performLater(...args)
  }

  /** Runs a job now. Resolves with the value of `perform`, with false if aborted, or with the error if a handler handled it. */
  static performNow<T extends Job>(this: JobConstructor<T>, ...args: PerformArguments<T>): Promise<PerformResult<T>> {
    return new ConfiguredJob<T>(this, {}).performNow(...args)
  }

  /** Options for one job: `X.set({ wait: 60 }).performLater(…)`. */
  static set<T extends Job>(this: JobConstructor<T>, options: EnqueueOptions): ConfiguredJob<T> {
    return new ConfiguredJob<T>(this, options)
  }

  /** The arguments of `perform`. If `perform` changes them in place, a retry stores the changed values. */
  arguments: unknown[]
  /** The id of the row; null until the job is enqueued. */
  providerJobId: string | null = null
  /** Number of this run, starting at 1; 0 before the first. */
  executions = 0
  /** Number of failures per retryOn, by its `key`; null if the stored job has no counters. */
  exceptionExecutions: Record<string, number> | null = {}
  enqueuedAt: Date | null = null
  scheduledAt: Date | null = null
  locale: string | null
  /** A Rails zone name such as 'Eastern Time (US & Canada)', or an IANA name. */
  timezone: string | null
  /** Whether an enqueue sends a NOTIFY to the workers; null: the class decides. */
  notify: boolean | null = null
  /** GoodJob concurrency key of the row. */
  concurrencyKey: string | null = null
  /** Whether the last `enqueue` stored the job. */
  successfullyEnqueued = false
  /** Why the adapter refused the job: a ConcurrencyExceededError if a concurrency rule did. */
  enqueueError: Error | null = null
  /** @internal */
  readonly [STATE] = new JobInternals()
  #jobId: string | undefined
  #queueName: string | undefined
  #priority: number | null | undefined
  #labels: readonly string[] | undefined

  constructor(...args: Arguments) {
    super()
    this.arguments = [...args]
    const surrounding = currentJob()
    this.locale = surrounding ? surrounding.locale : this.jobConstructor.defaultLocale
    this.timezone = surrounding ? surrounding.timezone : this.jobConstructor.defaultTimezone
  }

  /** The work. A worker ignores its return value; `performNow` resolves with it. */
  abstract perform(...args: PerformParameters<Arguments>): unknown

  get jobConstructor(): JobConstructor {
    return this.constructor as JobConstructor
  }

  get jobClass(): string {
    return jobClassName(this.jobConstructor)
  }

  get jobId(): string {
    this.#jobId ??= uuidV7()
    return this.#jobId
  }

  set jobId(id: string) {
    this.#jobId = id
  }

  get queueName(): string {
    this.#queueName ??= queueNameFromPart(this.jobConstructor, this.#resolve(this.jobConstructor.queueAs))
    return this.#queueName
  }

  set queueName(name: string) {
    this.#queueName = name
  }

  get priority(): number | null {
    if (this.#priority === undefined) {
      const priority = this.#resolve(this.jobConstructor.priority)
      this.#priority = priority === null ? null : validPriority(priority)
    }
    return this.#priority
  }

  set priority(priority: number | null) {
    this.#priority = priority
  }

  get labels(): readonly string[] {
    this.#labels ??= normalizeLabels(withAppliedLabels(this, this.#resolve(this.jobConstructor.labels)))
    return this.#labels
  }

  set labels(labels: readonly string[]) {
    this.#labels = normalizeLabels(labels)
  }

  /** The IANA name of `timezone`. */
  get ianaTimeZone(): string | null {
    return this.timezone === null ? null : ianaTimeZone(this.timezone, this[STATE].run.railsVersion)
  }

  /** The batch that this job belongs to, or whose callback it is; null outside of a worker. */
  get batch(): JobBatch | null {
    return this[STATE].run.batch as JobBatch | null
  }

  /** Aborts when the job must stop: its worker aborts jobs at a shutdown, its lock was lost, or it was discarded. */
  get signal(): AbortSignal {
    return this[STATE].run.signal
  }

  /**
   * The reason for which this job should end early, e.g. by `retryJob`, or false. Reasons: its worker shuts down, it was discarded, or, if
   * the worker honours pauses, its queue, class or one of its labels is paused (one query per call). GoodJob: Adapter#stopping?.
   */
  async stoppingReason(): Promise<StoppingReason | false> {
    const { run } = this[STATE]
    const reason = run.stoppingReason?.() ?? false
    return reason || (run.paused ? pauseReason(this, await run.paused()) : false)
  }

  /** A logger that adds the job's id and class to each line. */
  get logger(): Logger {
    return this[STATE].run.logger
  }

  /** Applies options without enqueueing. Throws ConfigurationError for an unknown option or an invalid value. */
  set(options: EnqueueOptions): this {
    applyOptions(this, options)
    return this
  }

  /** Enqueues this job. Resolves with false if a callback aborted it or the adapter refused it (`enqueueError`). */
  async enqueue(options: EnqueueOptions = {}): Promise<this | false> {
    return (await enqueueJob(this, options)) ? this : false
  }

  /** Enqueues this job again from `perform` or a handler. With `error`, the run counts as failed. */
  async retryJob(options: RetryOptions = {}): Promise<this | false> {
    return (await enqueueAgain(this, options)) ? this : false
  }

  /** Runs this job now. */
  performNow(): Promise<PerformResult<this>> {
    return performNow(this) as Promise<PerformResult<this>>
  }

  /** Runs one step of a continuable job, or skips it if an earlier run completed it. `body` defaults to the method called `name`. */
  step(name: string, body?: StepBody, options?: StepOptions): Promise<void> {
    return continuationOf(this).step(name, { body, ...options })
  }

  #resolve<V>(value: JobValue<V>): V {
    return typeof value === 'function' ? (value as (job: Job) => V)(this) : value
  }
}

// An accessor, so that a class without the field returns its own name. Compilers that assign static fields need the setter.
Object.defineProperty(Job, 'jobClass', {
  configurable: true,
  get(this: { readonly name: string }) {
    return this.name
  },
  set(value: string) {
    Object.defineProperty(this, 'jobClass', { value, configurable: true, enumerable: true, writable: true })
  },
})
