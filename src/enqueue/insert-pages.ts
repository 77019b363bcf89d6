import type { Job } from '../job/base.ts'
import { STATE } from '../job/state.ts'
import type { Queryable } from '../sql/connection/queryable.ts'
import type { Facts } from '../sql/database.ts'
import { type InsertedJobs, insertJobs, type NewJobRow } from '../sql/jobs/insert.ts'
import { announceJobs } from '../sql/notify.ts'

/** Maximum number of rows in one INSERT; keeps statements and locks short. */
export const MAX_BULK = 1_000

/**
 * Inserts the rows of one bulk enqueue, one statement per page; several pages need a transaction around them. A single page sends its
 * NOTIFY messages itself. With several pages each message would count only a part of the jobs, and Postgres drops equal messages, so they
 * are sent together at the end. Returns the ids of the inserted jobs.
 */
export const insertPages = async (db: Queryable, facts: Facts, rows: readonly NewJobRow[]): Promise<InsertedJobs> => {
  if (rows.length <= MAX_BULK) return insertJobs(db, facts, rows, { isBulk: true })
  const inserted = new Map<string, NewJobRow>()
  let transaction: string | undefined
  for (let start = 0; start < rows.length; start += MAX_BULK) {
    const page = rows.slice(start, start + MAX_BULK)
    const quiet = page.map((row) => ({ ...row, is_notified: false }))
    const { ids, transaction: one } = await insertJobs(db, facts, quiet, { isBulk: true })
    transaction ??= one
    for (const row of page) if (ids.has(row.id)) inserted.set(row.id, row)
  }
  await announceJobs(db, [...inserted.values()])
  return { ids: new Set(inserted.keys()), transaction }
}

/**
 * Records in a job that its row was inserted: by our own transaction, which has been committed, or by the caller's, of which only the name
 * is known.
 */
export const markInserted = (job: Job, callersTransaction: string | undefined): void => {
  job.successfullyEnqueued = true
  job.providerJobId = job.jobId
  job[STATE].insertedIn = callersTransaction
}
