import type { DeserializeOptions, SerializeOptions } from '../serialize/arguments/arguments.ts'
import { ianaTimeZone } from '../serialize/values/time-zones.ts'
import { uuidV7 } from '../uuid.ts'
import { assignQueueAdapter, type QueueAdapter, resolveQueueAdapter } from './adapters/queue-adapter.ts'
import type { JobBatch } from './batch-reference.ts'
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

/** A value, or a function that finds it from the job at the first read. */
export type JobValue<V> = V | { bivarianceHack(job: Job): V }['bivarianceHack']

// `never[]` lets a subclass write any parameters; a Job<[…]> has its own.
type PerformParameters<A extends readonly unknown[]> = readonly unknown[] extends A ? never[] : A

/** The arguments of a job class, as its `perform` declares them. */
export type PerformArguments<T extends Job> = T extends { perform(...args: infer A): unknown } ? A : never

type JobStatics = { [K in keyof typeof Job]: (typeof Job)[K] }

/** A job class, also an abstract one that only others extend. */
export type JobClass<T extends Job = Job> = (abstract new (...args: never[]) => T) & JobStatics

/** A class of jobs that can be made, registered and enqueued. */
export type JobConstructor<T extends Job = Job> = (new (...args: never[]) => T) & JobStatics

/**
 * A unit of work: the subclass declares `perform`, the queue and what happens to errors; an instance is one job.
 * `performLater`, `performNow` and `set` check their arguments against `perform`; a `Job<[id: number]>` also those of `new`.
 */
export abstract class Job<Arguments extends readonly unknown[] = readonly unknown[]> extends JobClassMethods {
  /**
   * The name in the queue and in Ruby, such as 'Media::ThumbnailJob'. A class whose name a build tool may have made (`o`, `_MailJob`,
   * `default`) is refused without. @default the name of the class itself
   */
  declare static jobClass: string
  /** Names that this very class had before: jobs that wait under them are run, too; a retry stores the new name. @default [] */
  declare static formerNames: readonly string[]
  /** Queue name without the prefix; null is `defaultQueueName`. @default null */
  static queueAs: JobValue<string> | null = null
  /** Smaller runs first; null runs like 0. @default null */
  static priority: JobValue<number> | null = null
  /** GoodJob labels. @default [] */
  static labels: JobValue<readonly string[]> = []
  /** Whether workers are told of a new job at once (good_job_notify); null leaves it to the adapter. @default null */
  static notify: boolean | null = null
  /** Whether `perform` gets an InterruptError when an earlier attempt never reported back. @default false */
  static interruptErrors: boolean = false
  /** Whether `perform` uses `step` and continues where it was interrupted. @default false */
  static continuable: boolean = false
  /** Resumptions before ResumeLimitError; null is no limit. @default null */
  static maxResumptions: number | null = null
  /** How an interrupted job is enqueued again. @default { wait: 5 } */
  static resumeOptions: EnqueueOptions = { wait: 5 }
  /** Whether an error after progress resumes the job instead of going to retryOn. @default true */
  static resumeErrorsAfterAdvancing: boolean = true
  /** Share by which the waits of retryOn are stretched at random. @default 0.15, as in a Rails application */
  static retryJitter: number = 0.15
  /** Whether a retry without a wait keeps the time the job was scheduled for, as Active Job 7.1 and later do. @default true */
  static retryKeepsSchedule: boolean = true
  /** Put before every queue name, with the delimiter. @default null */
  static queueNamePrefix: string | null = null
  /** @default '_' */
  static queueNameDelimiter: string = '_'
  /** @default 'default' */
  static defaultQueueName: string = 'default'
  /** Locale of jobs that are made outside of another job. @default 'en' */
  static defaultLocale: string | null = 'en'
  /** Rails or IANA time zone of jobs that are made outside of another job. @default 'UTC' */
  static defaultTimezone: string | null = 'UTC'
  /** How the arguments of this class are written and read. @default {} */
  static argumentOptions: SerializeOptions & DeserializeOptions = {}

  /** The adapter of this class and its subclasses. Throws ConfigurationError when there is none. */
  static get queueAdapter(): QueueAdapter {
    return resolveQueueAdapter(this)
  }

  static set queueAdapter(adapter: QueueAdapter) {
    assignQueueAdapter(this, adapter)
  }

  /** Enqueues a job; false when a callback aborted it or the adapter refused it. */
  static performLater<T extends Job>(this: JobConstructor<T>, ...args: PerformArguments<T>): Promise<T | false> {
    return new ConfiguredJob<T>(this, {}).performLater(...args)
  }

  /** Runs a job here and now: resolves with what `perform` answers, false when aborted, the error when a handler took it. */
  static performNow<T extends Job>(this: JobConstructor<T>, ...args: PerformArguments<T>): Promise<PerformResult<T>> {
    return new ConfiguredJob<T>(this, {}).performNow(...args)
  }

  /** Options for one job: `X.set({ wait: 60 }).performLater(…)`. */
  static set<T extends Job>(this: JobConstructor<T>, options: EnqueueOptions): ConfiguredJob<T> {
    return new ConfiguredJob<T>(this, options)
  }

  /** What `perform` is called with; what it changes in place is what a retry stores. */
  arguments: unknown[]
  /** The id of the row, once the job is enqueued. */
  providerJobId: string | null = null
  /** Number of this run, from 1; 0 before the first. */
  executions = 0
  /** Failures counted by each retryOn, under the text of its list of errors; null in hashes that have no counters. */
  exceptionExecutions: Record<string, number> | null = {}
  enqueuedAt: Date | null = null
  scheduledAt: Date | null = null
  locale: string | null
  /** A Rails zone name such as 'Eastern Time (US & Canada)', or an IANA name. */
  timezone: string | null
  /** Whether workers are told at once; null leaves it to the class. */
  notify: boolean | null = null
  /** GoodJob concurrency key of the row. */
  concurrencyKey: string | null = null
  /** Whether the last `enqueue` stored the job. */
  successfullyEnqueued = false
  /** Why the adapter refused the job. */
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

  /** The work. Its answer is ignored by a worker and returned by `performNow`. */
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
    this.#labels ??= normalizeLabels(this.#resolve(this.jobConstructor.labels))
    return this.#labels
  }

  set labels(labels: readonly string[]) {
    this.#labels = normalizeLabels(labels)
  }

  /** The time zone under its IANA name. */
  get ianaTimeZone(): string | null {
    return this.timezone === null ? null : ianaTimeZone(this.timezone, this[STATE].run.railsVersion)
  }

  /** The batch this job belongs to or is a callback of; null outside of a worker. */
  get batch(): JobBatch | null {
    return this[STATE].run.batch as JobBatch | null
  }

  /** Aborts when the job should stop: the worker shuts down for good, its lock is lost, somebody discarded it. */
  get signal(): AbortSignal {
    return this[STATE].run.signal
  }

  /**
   * Why this job may want to end early, e.g. by `retryJob`, or false: its worker shuts down, it was discarded, or, where the worker
   * honours pauses, its queue, class or a label of it is paused; that asks the database each time. GoodJob: Adapter#stopping?.
   */
  async stoppingReason(): Promise<StoppingReason | false> {
    const { run } = this[STATE]
    const reason = run.stoppingReason?.() ?? false
    return reason || (run.paused ? pauseReason(this, await run.paused()) : false)
  }

  /** Adds the job's id and class to each line. */
  get logger(): Logger {
    return this[STATE].run.logger
  }

  /** Applies options without enqueueing. Throws ConfigurationError for an option that does not exist or fit. */
  set(options: EnqueueOptions): this {
    applyOptions(this, options)
    return this
  }

  /** Enqueues this job; false when a callback aborted it or the adapter refused it (`enqueueError`). */
  async enqueue(options: EnqueueOptions = {}): Promise<this | false> {
    return (await enqueueJob(this, options)) ? this : false
  }

  /** Enqueues this job again from inside `perform` or a handler; with `error` the run counts as failed. */
  async retryJob(options: RetryOptions = {}): Promise<this | false> {
    return (await enqueueAgain(this, options)) ? this : false
  }

  /** Runs this job here and now. */
  performNow(): Promise<PerformResult<this>> {
    return performNow(this) as Promise<PerformResult<this>>
  }

  /** Runs one step of a continuable job, or skips it when an earlier run completed it; without a body, the method of that name. */
  step(name: string, body?: StepBody, options?: StepOptions): Promise<void> {
    return continuationOf(this).step(name, { body, ...options })
  }

  #resolve<V>(value: JobValue<V>): V {
    return typeof value === 'function' ? (value as (job: Job) => V)(this) : value
  }
}

// An accessor, so that a class without the field answers its own name; compilers that assign fields need the setter.
Object.defineProperty(Job, 'jobClass', {
  configurable: true,
  get(this: { readonly name: string }) {
    return this.name
  },
  set(value: string) {
    Object.defineProperty(this, 'jobClass', { value, configurable: true, enumerable: true, writable: true })
  },
})
