import type { Pool } from 'pg'
import { type Configuration, type Options, resolveConfiguration } from '../configuration.ts'
import { EnqueueError } from '../errors.ts'
import type { Job } from '../job/base.ts'
import { currentEnqueueContext } from '../job/context.ts'
import type { AdapterOptions, QueueAdapter } from '../job/queue-adapter.ts'
import { Database } from '../sql/database.ts'
import { insertJobs } from '../sql/jobs-insert.ts'
import { type Queryable, queryableOf } from '../sql/types.ts'
import { type Clock, systemClock } from '../time.ts'
import { jobRow } from './job-row.ts'

/** `databaseUrl` or `pool`, and the options of `Options` that concern enqueueing. */
export type AdapterConfig = Options & {
  /** A pg pool of yours; it stays yours to end. */
  readonly pool?: Pool
  readonly database?: Database
  readonly clock?: Clock
}

/** Rows of one INSERT, at most: keeps statements and locks short. */
const MAX_BULK = 1_000

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
    const inserted = await this.#insert([job], this.#connection(options), { isBulk: false })
    if (!inserted.has(job.jobId)) {
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
    const connection = this.#connection(options)
    const insert = (db: Queryable) => this.#insertInPages(jobs, db)
    const isOneStatement = jobs.length <= MAX_BULK || options.transaction !== undefined
    const inserted = await (isOneStatement ? insert(connection) : this.database.transaction(insert))
    for (const job of jobs) {
      job.successfullyEnqueued = inserted.has(job.jobId)
      if (job.successfullyEnqueued) job.providerJobId = job.jobId
    }
    return inserted.size
  }

  /** Ends the pool, unless it is the caller's. */
  async close(): Promise<void> {
    if (this.#ownsDatabase) await this.database.close()
  }

  #connection({ transaction }: AdapterOptions): Queryable {
    return transaction ? queryableOf(transaction) : this.database.pool
  }

  async #insertInPages(jobs: readonly Job[], db: Queryable): Promise<Set<string>> {
    const now = this.clock.timestamp()
    const inserted = new Set<string>()
    for (let start = 0; start < jobs.length; start += MAX_BULK) {
      const page = jobs.slice(start, start + MAX_BULK)
      for (const id of await this.#insert(page, db, { isBulk: true, now })) inserted.add(id)
    }
    return inserted
  }

  async #insert(
    jobs: readonly Job[],
    db: Queryable,
    { isBulk, now = this.clock.timestamp() }: { readonly isBulk: boolean; readonly now?: string },
  ): Promise<Set<string>> {
    const { railsVersion, enableListenNotify } = this.configuration
    const rows = jobs.map((job) => jobRow(job, { now, railsVersion, enableListenNotify }))
    return insertJobs(db, await this.database.facts(), rows, { isBulk })
  }
}
