import type { Job } from '../job/base.ts'
import { STATE } from '../job/state.ts'
import type { Queryable } from '../sql/connection/queryable.ts'
import type { Facts } from '../sql/database.ts'
import { type InsertedJobs, insertJobs, type NewJobRow } from '../sql/jobs/insert.ts'
import { announceJobs } from '../sql/notify.ts'

/** Rows of one INSERT, at most: keeps statements and locks short. */
export const MAX_BULK = 1_000

/**
 * Inserts the rows of one bulk, a page a statement; more than one page wants a transaction. One page sends its messages itself; those
 * of several would each count a part, and Postgres drops equal ones, so they are sent together at the end. Answers what was inserted.
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
 * Tells a job that its row was inserted: by a transaction of ours, which has been committed, or by one of the caller's, of which only its
 * name is known.
 */
export const markInserted = (job: Job, callersTransaction: string | undefined): void => {
  job.successfullyEnqueued = true
  job.providerJobId = job.jobId
  job[STATE].insertedIn = callersTransaction
}
