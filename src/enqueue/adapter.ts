import type { Pool } from 'pg'
import { type Configuration, type Options, resolveConfiguration } from '../configuration.ts'
import { EnqueueError } from '../errors.ts'
import type { Job } from '../job/base.ts'
import { currentEnqueueContext } from '../job/context.ts'
import type { AdapterOptions, QueueAdapter } from '../job/queue-adapter.ts'
import { Database } from '../sql/database.ts'
import { announceJobs, insertJobs, type NewJobRow } from '../sql/jobs-insert.ts'
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

  /** One page sends its messages itself; those of several would each count a part, so they are sent together at the end. */
  async #insertInPages(jobs: readonly Job[], db: Queryable): Promise<Set<string>> {
    const now = this.clock.timestamp()
    if (jobs.length <= MAX_BULK) return this.#insert(jobs, db, { isBulk: true, now })
    const facts = await this.database.facts(db)
    const inserted = new Map<string, NewJobRow>()
    for (let start = 0; start < jobs.length; start += MAX_BULK) {
      const rows = this.#rows(jobs.slice(start, start + MAX_BULK), now)
      const quiet = rows.map((row) => ({ ...row, is_notified: false }))
      const ids = await insertJobs(db, facts, quiet, { isBulk: true })
      for (const row of rows) if (ids.has(row.id)) inserted.set(row.id, row)
    }
    await announceJobs(db, [...inserted.values()])
    return new Set(inserted.keys())
  }

  async #insert(
    jobs: readonly Job[],
    db: Queryable,
    { isBulk, now = this.clock.timestamp() }: { readonly isBulk: boolean; readonly now?: string },
  ): Promise<Set<string>> {
    return insertJobs(db, await this.database.facts(db), this.#rows(jobs, now), { isBulk })
  }

  #rows(jobs: readonly Job[], now: string): NewJobRow[] {
    const { railsVersion, enableListenNotify } = this.configuration
    return jobs.map((job) => jobRow(job, { now, railsVersion, enableListenNotify }))
  }
}
