import type { Job } from '../job/base.ts'
import type { Facts } from '../sql/database.ts'
import { announceJobs, insertJobs, type NewJobRow } from '../sql/jobs-insert.ts'
import type { Queryable } from '../sql/types.ts'

/** Rows of one INSERT, at most: keeps statements and locks short. */
export const MAX_BULK = 1_000

/**
 * Inserts the rows of one bulk, a page a statement; more than one page wants a transaction. One page sends its messages itself; those
 * of several would each count a part, and Postgres drops equal ones, so they are sent together at the end. Answers the ids that
 * were inserted.
 */
export const insertPages = async (db: Queryable, facts: Facts, rows: readonly NewJobRow[]): Promise<Set<string>> => {
  if (rows.length <= MAX_BULK) return insertJobs(db, facts, rows, { isBulk: true })
  const inserted = new Map<string, NewJobRow>()
  for (let start = 0; start < rows.length; start += MAX_BULK) {
    const page = rows.slice(start, start + MAX_BULK)
    const quiet = page.map((row) => ({ ...row, is_notified: false }))
    const ids = await insertJobs(db, facts, quiet, { isBulk: true })
    for (const row of page) if (ids.has(row.id)) inserted.set(row.id, row)
  }
  await announceJobs(db, [...inserted.values()])
  return new Set(inserted.keys())
}

/** Tells each job whether its row was inserted. */
export const markInserted = (jobs: readonly Job[], inserted: ReadonlySet<string>): void => {
  for (const job of jobs) {
    job.successfullyEnqueued = inserted.has(job.jobId)
    if (job.successfullyEnqueued) job.providerJobId = job.jobId
  }
}
