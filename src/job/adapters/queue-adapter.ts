import { ConfigurationError } from '../../errors.ts'
import type { Job } from '../base.ts'

/**
 * The part of pg's Client and PoolClient that an enqueue in the caller's transaction needs. `query` is called with exactly these two
 * parameters. A wrapper around another library's transaction may return the number of rows as `rowCount`.
 */
export interface CallerTransaction {
  /** Only a pool has this field, and a pool is not a transaction. */
  readonly totalCount?: never
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[]; rowCount: number | null }>
}

export interface AdapterOptions {
  /** A connected client with an open transaction; the jobs exist when the caller commits. */
  readonly transaction?: CallerTransaction | undefined
  /** Whether `enqueueAll` checks concurrency rules. @default false, as in Ruby */
  readonly checksRules?: boolean | undefined
}

/** Stores jobs in a queue. Active Job: a queue adapter. */
export interface QueueAdapter {
  readonly name: string
  /**
   * Stores one job for `job.scheduledAt`, or for now if that is null, and sets `job.providerJobId`.
   * Throws EnqueueError or ConcurrencyExceededError to refuse it; every other error reaches the caller of `performLater`.
   */
  enqueue(job: Job, options: AdapterOptions): Promise<void>
  /** Stores many jobs, and sets `successfullyEnqueued` (and `enqueueError`) of each. Returns the number of stored jobs. */
  enqueueAll(jobs: readonly Job[], options: AdapterOptions): Promise<number>
}

let makeDefault: (() => QueueAdapter) | undefined
let madeDefault: QueueAdapter | undefined

/** Sets the adapter of classes without one; `factory` is called at the first use. */
export const setDefaultQueueAdapter = (factory: () => QueueAdapter): void => {
  makeDefault = factory
  madeDefault = undefined
}

const adapters = new WeakMap<object, QueueAdapter>()

/** Sets the adapter of a class, and of its subclasses without one. */
export const assignQueueAdapter = (jobClass: object, adapter: QueueAdapter): void => {
  adapters.set(jobClass, adapter)
}

/** The adapter of a class: its own, that of its nearest superclass, or the default. Throws ConfigurationError if there is none. */
export const resolveQueueAdapter = (jobClass: object): QueueAdapter => {
  for (let owner: object | null = jobClass; owner !== null; owner = Object.getPrototypeOf(owner)) {
    const adapter = adapters.get(owner)
    if (adapter) return adapter
  }
  madeDefault ??= makeDefault?.()
  if (madeDefault) return madeDefault
  throw new ConfigurationError(
    'No queue adapter: set Job.queueAdapter = new Adapter({ databaseUrl }) (or InlineAdapter, TestAdapter) before enqueueing',
  )
}
