import { EnqueueAdapter } from '../enqueue/adapter.ts'
import { ConfigurationError, RecordMissingError } from '../errors.ts'
import type { CallerTransaction } from '../job/adapters/queue-adapter.ts'
import { Job, type JobConstructor } from '../job/base.ts'
import { jobsOf } from '../job/enqueueable.ts'
import { type BatchRow, findBatches, insertBatches, updateBatches } from '../sql/batch/batches.ts'
import { isUuid, uuidV7 } from '../uuid.ts'
import * as actions from './actions.ts'
import type { CallbackEvent } from './completion/decision.ts'
import { callbackName } from './context.ts'
import { addJobs, enqueueBatch, enqueueBatches } from './enqueue.ts'
import { assertBatchOptions, assertEnqueueOptions, assertJobsFirst } from './enqueue-options.ts'
import { givenMembers } from './members.ts'
import { deserializeProperties, type Properties, serializeProperties } from './properties.ts'
import { type BatchStatus, batchStatus } from './status.ts'

/** A callback: a Node class, or the name of a Node or Ruby class. */
export type Callback = JobConstructor | string | null

export interface BatchOptions<P extends Properties = Properties> {
  /** Called when every member has ended, whether it succeeded or not. */
  readonly onFinish?: Callback
  /** Called when every member has succeeded. */
  readonly onSuccess?: Callback
  /** Called when the first member is discarded. */
  readonly onDiscard?: Callback
  /** Queue of the callback jobs. @default the queue of each class; 'default' for a class that this process does not know */
  readonly callbackQueueName?: string | null
  readonly callbackPriority?: number | null
  readonly description?: string | null
  readonly properties?: P
}

export interface EnqueueBatchOptions {
  /**
   * A pg client with an open transaction: batch and jobs exist when you commit. The batch object knows its row only after `reload()`, and
   * no batch events are emitted.
   */
  readonly transaction?: CallerTransaction | null | undefined
}

/** Jobs, or a block that enqueues them. Every job that the block enqueues becomes a member, also after an await. */
export type BatchJobs = Job | readonly Job[] | ((batch: Batch) => unknown)

/**
 * A set of jobs that is waited for. GoodJob: GoodJob::Batch. Callback jobs run at least once, so they must be idempotent.
 */
export class Batch<P extends Properties = Properties> {
  /** The adapter of new batches. @default Job.queueAdapter, if that is a GoodJob adapter */
  static adapter: EnqueueAdapter | undefined

  readonly id: string
  readonly adapter: EnqueueAdapter
  onFinish: string | null
  onSuccess: string | null
  onDiscard: string | null
  callbackQueueName: string | null
  callbackPriority: number | null
  description: string | null
  #row: BatchRow | undefined
  #properties: P | undefined
  #givenProperties: P | undefined

  /** @throws ConfigurationError for an option that does not exist */
  constructor(options: BatchOptions<P> = {}, adapter: EnqueueAdapter = currentAdapter()) {
    assertBatchOptions(options)
    this.id = uuidV7()
    this.adapter = adapter
    this.onFinish = callbackName(options.onFinish)
    this.onSuccess = callbackName(options.onSuccess)
    this.onDiscard = callbackName(options.onDiscard)
    this.callbackQueueName = options.callbackQueueName ?? null
    this.callbackPriority = options.callbackPriority ?? null
    this.description = options.description ?? null
    this.#givenProperties = options.properties
  }

  /** Creates a batch with the jobs that the block enqueues, in one transaction. */
  static async enqueue<P extends Properties>(
    { transaction, ...options }: BatchOptions<P> & EnqueueBatchOptions,
    jobs?: BatchJobs,
  ): Promise<Batch<P>> {
    const batch = new Batch<P>(options)
    return batch.enqueue(jobs, { transaction })
  }

  /** Creates many batches and all their jobs in one transaction. GoodJob: Batch.enqueue_all. */
  static async enqueueAll(
    pairs: readonly (readonly [BatchOptions | Batch, Job | readonly Job[]])[],
    options: EnqueueBatchOptions = {},
  ): Promise<Batch[]> {
    assertEnqueueOptions('Batch.enqueueAll', options)
    const members = pairs.map(([batch, jobs]) => ({
      batch: batch instanceof Batch ? batch : new Batch(batch),
      jobs: givenMembers(jobsOf('Batch.enqueueAll', [jobs]), options.transaction ?? undefined),
    }))
    await enqueueBatches(members, options)
    return members.map(({ batch }) => batch)
  }

  /** @throws RecordMissingError when there is no such batch. */
  static async find<P extends Properties = Properties>(
    id: string,
    adapter: EnqueueAdapter = currentAdapter(),
  ): Promise<Batch<P>> {
    const batch = (await Batch.findAll([id], adapter)).get(id.toLowerCase())
    if (batch === undefined) throw new RecordMissingError(`there is no batch ${id}`)
    return batch as Batch<P>
  }

  /** The batches with these ids that exist, by id. */
  static async findAll(
    ids: readonly string[],
    adapter: EnqueueAdapter = currentAdapter(),
  ): Promise<Map<string, Batch>> {
    const uuids = ids.filter(isUuid)
    const rows = await findBatches(adapter.database.pool, await adapter.database.facts(), uuids)
    return new Map(rows.map((row) => [row.id, Batch.fromRow(row, adapter)]))
  }

  /** @internal */
  static fromRow(row: BatchRow, adapter: EnqueueAdapter): Batch {
    const batch = new Batch({}, adapter)
    Object.defineProperty(batch, 'id', { value: row.id, enumerable: true })
    batch.take(row)
    return batch
  }

  /** Whether the batch is known to have a row. A batch saved in your own transaction is known after `reload()`. */
  get isPersisted(): boolean {
    return this.#row !== undefined
  }

  /** What the batch carries, in Active Job's argument form. @throws DeserializationError when the column cannot be read */
  get properties(): P {
    if (this.#givenProperties !== undefined) return this.#givenProperties
    this.#properties ??= deserializeProperties(this.#row?.serialized_properties ?? null) as P
    return this.#properties
  }

  set properties(properties: P) {
    this.#givenProperties = properties
  }

  get createdAt(): Date | null {
    return dateOf(this.#row?.created_at)
  }
  get enqueuedAt(): Date | null {
    return dateOf(this.#row?.enqueued_at)
  }
  /** Set when a member was discarded; cleared when the batch recovers. */
  get discardedAt(): Date | null {
    return dateOf(this.#row?.discarded_at)
  }
  /** Set when every member has ended. Always null without GoodJob 4.3's migration: `finishedAt` is set instead. */
  get jobsFinishedAt(): Date | null {
    return dateOf(this.#row?.jobs_finished_at)
  }
  /** Set when the callback jobs have ended too. */
  get finishedAt(): Date | null {
    return dateOf(this.#row?.finished_at)
  }
  get isEnqueued(): boolean {
    return this.enqueuedAt !== null
  }
  get isDiscarded(): boolean {
    return this.discardedAt !== null
  }
  get isFinished(): boolean {
    return this.finishedAt !== null
  }
  get isSucceeded(): boolean {
    return this.isFinished && !this.isDiscarded
  }

  /** Makes jobs members of the batch: new jobs are inserted; enqueued jobs, including the running one, are updated. @returns the jobs */
  async add(jobs: BatchJobs, options: EnqueueBatchOptions = {}): Promise<Job[]> {
    assertEnqueueOptions('batch.add', options)
    assertJobsFirst('batch.add', jobs)
    return addJobs(this, jobs, options)
  }

  /**
   * Adds jobs and starts to wait for them; a batch that has ended waits again. A batch without members completes at once. GoodJob:
   * Batch#enqueue, except that a member that is still broken still counts.
   */
  async enqueue(jobs?: BatchJobs, options: EnqueueBatchOptions = {}): Promise<this> {
    assertEnqueueOptions('batch.enqueue', options)
    assertJobsFirst('batch.enqueue', jobs)
    await enqueueBatch(this, jobs, options)
    return this
  }

  /** Saves callbacks, description and properties. */
  async save(): Promise<this> {
    const { database } = this.adapter
    const facts = await database.facts()
    const now = this.adapter.clock.timestamp()
    const write = this.isPersisted ? updateBatches : insertBatches
    const row = { id: this.id, now, ...this.attributes(), enqueued_at: null }
    const saved = await database.statement((db) => write(db, facts, [row]))
    if (!saved.has(this.id)) throw new RecordMissingError(`batch ${this.id} is gone: its row was deleted`)
    return this.reload()
  }

  /** Reads the row again. @throws RecordMissingError when the row is gone */
  async reload(): Promise<this> {
    const { database } = this.adapter
    const [row] = await findBatches(database.pool, await database.facts(), [this.id])
    if (row === undefined) throw new RecordMissingError(`there is no batch ${this.id}`)
    this.take(row)
    return this
  }

  /**
   * Runs the discarded members again and waits for them; every callback can fire again. GoodJob: Batch#retry, but refuses when rows are
   * gone.
   */
  retry(options: actions.RetryBatchOptions = {}): Promise<actions.RetryBatchResult> {
    return actions.retryBatch(this, options)
  }

  /** Recovers a discarded batch in which no member is broken any more; returns the reason when it may not. */
  recover(options: actions.RecoverBatchOptions = {}): Promise<actions.RecoverBatchResult> {
    return actions.recoverBatch(this, options)
  }

  /** Discards every unfinished member, then checks the batch. */
  discard(message = 'Discarded with its batch'): Promise<actions.DiscardBatchResult> {
    return actions.discardBatch(this, message)
  }

  /** Enqueues a callback manually. */
  callback(event: CallbackEvent): Promise<actions.CallbackBatchResult> {
    return actions.enqueueCallback(this, event)
  }

  /** Members by state, callbacks, recovery and timeline. */
  status(): Promise<BatchStatus> {
    return batchStatus(this)
  }

  /** @internal The columns that a user sets. */
  attributes() {
    return {
      description: this.description,
      serialized_properties:
        this.#givenProperties === undefined && this.#row !== undefined && this.#properties === undefined
          ? this.#row.serialized_properties
          : serializeProperties(this.properties),
      on_finish: this.onFinish,
      on_success: this.onSuccess,
      on_discard: this.onDiscard,
      callback_queue_name: this.callbackQueueName,
      callback_priority: this.callbackPriority,
    }
  }

  /** @internal */
  take(row: BatchRow): void {
    this.#row = row
    this.#properties = undefined
    this.#givenProperties = undefined
    this.onFinish = row.on_finish
    this.onSuccess = row.on_success
    this.onDiscard = row.on_discard
    this.callbackQueueName = row.callback_queue_name
    this.callbackPriority = row.callback_priority
    this.description = row.description
  }
}

const currentAdapter = (): EnqueueAdapter => {
  if (Batch.adapter) return Batch.adapter
  const adapter = Job.queueAdapter
  if (adapter instanceof EnqueueAdapter) return adapter
  throw new ConfigurationError(
    `batches need the GoodJob adapter, but Job.queueAdapter is ${adapter.name}; set Batch.adapter = new Adapter({ databaseUrl })`,
  )
}

const dateOf = (text: string | null | undefined): Date | null => (text == null ? null : new Date(text))

declare module '../job/batch-reference.ts' {
  interface BatchRegistry {
    batch: Batch
  }
}
