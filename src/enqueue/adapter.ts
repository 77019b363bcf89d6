import type { Pool } from 'pg'
import { type Configuration, type Options, resolveConfiguration } from '../configuration.ts'
import { ConcurrencyExceededError, ConfigurationError, CronConflictError, EnqueueError } from '../errors.ts'
import type { AdapterOptions, QueueAdapter } from '../job/adapters/queue-adapter.ts'
import type { Job } from '../job/base.ts'
import { currentEnqueueContext } from '../job/context.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import { assertEnqueueable, kindOf } from '../job/enqueueable.ts'
import { STATE } from '../job/state.ts'
import { scopeLockTexts } from '../sql/concurrency/scope-locks.ts'
import { type Queryable, queryableOf } from '../sql/connection/queryable.ts'
import { Database, type Facts } from '../sql/database.ts'
import { type InsertedJobs, insertJob, type NewJobRow } from '../sql/jobs/insert.ts'
import { type Clock, systemClock } from '../time.ts'
import { insertPages, MAX_BULK, markInserted } from './insert-pages.ts'
import { type JobRowOptions, jobRow } from './job-row.ts'
import { announceRefusal, checkRules, markRefused, type RuledJob, ruledJob, scopesOf } from './rule-check.ts'

/** `databaseUrl` or `pool`, and the `Options` for enqueueing. */
export type AdapterConfig = Options & {
  /** Your own pg pool; you end it yourself. */
  readonly pool?: Pool
  readonly database?: Database
  readonly clock?: Clock
  /** The classes that cron entries may name by text. */
  readonly registry?: JobRegistry
}

/** Inserts jobs into good_jobs, where Ruby and Node workers find them. GoodJob: GoodJob::Adapter. */
export class EnqueueAdapter implements QueueAdapter {
  readonly name = 'GoodJob'
  readonly database: Database
  readonly configuration: Configuration
  readonly clock: Clock
  /** @internal */
  readonly registry: JobRegistry | undefined
  readonly #ownsDatabase: boolean

  /** @throws ConfigurationError for an unknown option or without a database. */
  constructor(config: AdapterConfig = {}) {
    assertConfig(config)
    const { pool, database, clock, registry, ...options } = config
    this.configuration = resolveConfiguration(options)
    this.clock = clock ?? systemClock
    this.registry = registry
    this.#ownsDatabase = database === undefined
    this.database =
      database ??
      new Database({ databaseUrl: this.configuration.databaseUrl, pool, poolSize: this.configuration.poolSize })
  }

  /**
   * Inserts one job and notifies the workers, in the caller's transaction if there is one.
   * @throws EnqueueError for an id that exists, CronConflictError for a cron occurrence that exists, ConcurrencyExceededError if a concurrency rule refuses the job
   */
  async enqueue(job: Job, { transaction }: AdapterOptions = {}): Promise<void> {
    if (isBuffered([job], transaction)) return
    assertEnqueueable(job)
    const ruled = ruledJob(job)
    const inserted =
      ruled.rules.length === 0
        ? await this.#insertOne(job, transaction)
        : await this.#insertUnderRules(ruled, transaction)
    if (inserted === undefined) {
      if (job[STATE].cron) throw new CronConflictError('this cron occurrence is enqueued already')
      throw new EnqueueError(`a job with the id ${job.jobId} exists already`)
    }
    markInserted(job, transaction ? inserted : undefined)
  }

  /**
   * Inserts many jobs, with one statement per 1,000. A job whose id exists already is not inserted, and its `successfullyEnqueued` is false.
   * Returns the number of inserted jobs.
   */
  async enqueueAll(jobs: readonly Job[], { transaction, checksRules }: AdapterOptions = {}): Promise<number> {
    if (isBuffered(jobs, transaction)) {
      for (const job of jobs) job.successfullyEnqueued = true
      return jobs.length
    }
    for (const job of jobs) {
      assertEnqueueable(job)
      job.successfullyEnqueued = false
    }
    const ruled = checksRules ? jobs.map(ruledJob) : []
    const inserted = ruled.some(({ rules }) => rules.length > 0)
      ? await this.#insertAllUnderRules(ruled, transaction)
      : await this.#insert(this.#rowsOf(jobs), transaction)
    for (const job of jobs) {
      if (inserted.ids.has(job.jobId)) markInserted(job, transaction ? inserted.transaction : undefined)
    }
    return inserted.ids.size
  }

  async #insertAllUnderRules(
    ruled: readonly RuledJob[],
    transaction: AdapterOptions['transaction'],
  ): Promise<InsertedJobs> {
    const isCallers = transaction !== undefined
    const work = async (db: Queryable, facts: Facts) => {
      const refused = await checkRules(db, facts, ruled, { clock: this.clock, isCallers, isLocked: !isCallers })
      const accepted = ruled.map(({ job }) => job).filter((job) => !refused.has(job))
      return { inserted: await insertPages(db, facts, this.#rowsOf(accepted)), refusals: refused }
    }
    const { inserted, refusals } = await this.#inTransaction(transaction, work, scopeLockTexts(scopesOf(ruled)))
    markRefused(refusals, { isCallers })
    return inserted
  }

  /** The rows of a bulk, which have the time of this call. */
  #rowsOf(jobs: readonly Job[]): NewJobRow[] {
    const rowOptions = { ...this.#rowOptions, bulkAt: this.clock.timestamp() }
    return jobs.map((job) => jobRow(job, rowOptions))
  }

  #insertOne(job: Job, transaction: AdapterOptions['transaction']): Promise<string | undefined> {
    const row = jobRow(job, this.#rowOptions)
    return this.#inOneStatement(transaction, (db, facts) => insertJob(db, facts, row))
  }

  /** The check and the INSERT are one transaction. The time of the row is read under the locks, so that throttles count it from there. */
  async #insertUnderRules(ruled: RuledJob, transaction: AdapterOptions['transaction']): Promise<string | undefined> {
    const { job } = ruled
    const isCallers = transaction !== undefined
    const work = async (db: Queryable, facts: Facts) => {
      const options = { clock: this.clock, isCallers, isLocked: !isCallers }
      const refusal = (await checkRules(db, facts, [ruled], options)).get(job)
      if (refusal) throw refusal
      return insertJob(db, facts, jobRow(job, this.#rowOptions))
    }
    try {
      return await this.#inTransaction(transaction, work, scopeLockTexts(scopesOf([ruled])))
    } catch (error) {
      if (error instanceof ConcurrencyExceededError) announceRefusal(job, error, { isCallers })
      throw error
    }
  }

  async #insert(rows: readonly NewJobRow[], transaction: AdapterOptions['transaction']): Promise<InsertedJobs> {
    if (transaction || rows.length <= MAX_BULK) {
      return this.#inOneStatement(transaction, (db, facts) => insertPages(db, facts, rows))
    }
    return this.#inTransaction(undefined, (db, facts) => insertPages(db, facts, rows))
  }

  /** In the caller's transaction, or in one of our own, whose first message also carries `opening`. */
  async #inTransaction<T>(
    transaction: AdapterOptions['transaction'],
    work: (db: Queryable, facts: Facts) => Promise<T>,
    opening: readonly string[] = [],
  ): Promise<T> {
    if (transaction) return this.#inOneStatement(transaction, work)
    const facts = await this.database.facts()
    return this.database.transaction((db) => work(db, facts), opening)
  }

  /** Inserts in the caller's transaction, or in one of our own. */
  async #inOneStatement<T>(
    transaction: AdapterOptions['transaction'],
    work: (db: Queryable, facts: Facts) => Promise<T>,
  ): Promise<T> {
    if (transaction) {
      const db = queryableOf(transaction)
      return work(db, await this.database.factsFor(db))
    }
    const facts = await this.database.facts()
    return this.database.statement((db) => work(db, facts))
  }

  /** Ends the pool, unless the caller provided it. */
  async close(): Promise<void> {
    if (this.#ownsDatabase) await this.database.close()
  }

  get #rowOptions(): JobRowOptions {
    const { railsVersion, enableListenNotify } = this.configuration
    return { clock: this.clock, railsVersion, enableListenNotify }
  }
}

const assertConfig = (config: unknown): void => {
  if (typeof config === 'string') {
    // The message does not repeat the URL, which may contain a password.
    throw new ConfigurationError("new Adapter takes options, not a text: new Adapter({ databaseUrl: 'postgres://…' })")
  }
  if (typeof config !== 'object' || config === null) {
    throw new ConfigurationError(
      `new Adapter takes options, got ${kindOf(config)}: new Adapter({ databaseUrl: 'postgres://…' }) or new Adapter({ pool })`,
    )
  }
  if ('totalCount' in config || 'query' in config) {
    throw new ConfigurationError('new Adapter takes options, got a pool or client itself: new Adapter({ pool })')
  }
}

/**
 * Passes the jobs to the surrounding batch or bulk block, if there is one. Throws ConfigurationError for a transaction that is not the
 * block's: after a rollback of one of the two, the jobs would exist without the batch, or the batch without the jobs.
 */
const isBuffered = (jobs: readonly Job[], transaction: AdapterOptions['transaction']): boolean => {
  const { buffer } = currentEnqueueContext()
  if (buffer === undefined) return false
  if (transaction && transaction !== buffer.transaction) {
    throw new ConfigurationError(
      `${jobs[0]?.jobClass}: a job in the block of a batch is stored with the batch; give the transaction to the batch: Batch.enqueue({ …, transaction }, block)`,
    )
  }
  for (const job of jobs) {
    assertEnqueueable(job)
    buffer.add(job)
  }
  return true
}
