import type { Pool } from 'pg'
import { type Configuration, type Options, resolveConfiguration } from '../configuration.ts'
import { EnqueueError } from '../errors.ts'
import type { Job } from '../job/base.ts'
import { currentEnqueueContext } from '../job/context.ts'
import type { AdapterOptions, QueueAdapter } from '../job/queue-adapter.ts'
import { Database } from '../sql/database.ts'
import { insertJob } from '../sql/jobs-insert.ts'
import { type Queryable, queryableOf } from '../sql/types.ts'
import { type Clock, systemClock } from '../time.ts'
import { insertPages, MAX_BULK, markInserted } from './insert-pages.ts'
import { type JobRowOptions, jobRow } from './job-row.ts'

/** `databaseUrl` or `pool`, and the options of `Options` that concern enqueueing. */
export type AdapterConfig = Options & {
  /** A pg pool of yours; it stays yours to end. */
  readonly pool?: Pool
  readonly database?: Database
  readonly clock?: Clock
}

/** Puts jobs into good_jobs, where Ruby and Node workers find them. GoodJob: GoodJob::Adapter. */
export class Adapter implements QueueAdapter {
  readonly name = 'GoodJob'
  readonly database: Database
  readonly configuration: Configuration
  readonly clock: Clock
  readonly #ownsDatabase: boolean

  /** @throws ConfigurationError for an unknown option or without a database. */
  constructor({ pool, database, clock, ...options }: AdapterConfig = {}) {
    this.configuration = resolveConfiguration(options)
    this.clock = clock ?? systemClock
    this.#ownsDatabase = database === undefined
    this.database =
      database ??
      new Database({ databaseUrl: this.configuration.databaseUrl, pool, poolSize: this.configuration.poolSize })
  }

  /** Inserts one job and tells the workers, in the caller's transaction if there is one. @throws EnqueueError for a duplicate cron occurrence */
  async enqueue(job: Job, options: AdapterOptions = {}): Promise<void> {
    const { buffer } = currentEnqueueContext()
    if (buffer !== undefined && options.transaction === undefined) {
      buffer.push(job)
      return
    }
    const row = jobRow(job, this.#rowOptions)
    const insert = async (db: Queryable) => insertJob(db, await this.database.facts(db), row)
    if (!(await this.#inOneStatement(options, insert))) {
      const isCron = currentEnqueueContext().cronKey !== undefined
      throw new EnqueueError(
        isCron ? 'this cron occurrence is enqueued already' : `a job with the id ${job.jobId} exists already`,
      )
    }
    job.providerJobId = job.jobId
  }

  /** Inserts many jobs with one statement for each thousand; those whose id exists are left out. Answers how many were inserted. */
  async enqueueAll(jobs: readonly Job[], options: AdapterOptions = {}): Promise<number> {
    const { buffer } = currentEnqueueContext()
    if (buffer !== undefined && options.transaction === undefined) {
      buffer.push(...jobs)
      for (const job of jobs) job.successfullyEnqueued = true
      return jobs.length
    }
    const rowOptions = { ...this.#rowOptions, bulkAt: this.clock.timestamp() }
    const rows = jobs.map((job) => jobRow(job, rowOptions))
    const insert = async (db: Queryable) => insertPages(db, await this.database.facts(db), rows)
    const isOneTransaction = jobs.length <= MAX_BULK || options.transaction !== undefined
    const inserted = await (isOneTransaction
      ? this.#inOneStatement(options, insert)
      : this.database.transaction(insert))
    markInserted(jobs, inserted)
    return inserted.size
  }

  /** Ends the pool, unless it is the caller's. */
  async close(): Promise<void> {
    if (this.#ownsDatabase) await this.database.close()
  }

  /** In the caller's transaction, or as one of its own. */
  #inOneStatement<T>({ transaction }: AdapterOptions, work: (db: Queryable) => Promise<T>): Promise<T> {
    return transaction ? work(queryableOf(transaction)) : this.database.statement(work)
  }

  get #rowOptions(): JobRowOptions {
    const { railsVersion, enableListenNotify } = this.configuration
    return { clock: this.clock, railsVersion, enableListenNotify }
  }
}
