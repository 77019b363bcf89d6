import { isCancelled } from '../../errors.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Database } from '../database.ts'

/**
 * Sequential scans are off: for a page of few rows the planner expects to find them soon, and would read a table of millions if
 * they are at its end.
 */
const SETTINGS = `
SELECT set_config('transaction_read_only', 'on', true), set_config('enable_seqscan', 'off', true),
  set_config('jit', 'off', true), set_config('statement_timeout', $1, true)`

/** For lists that people read: runs `work` in a read-only transaction in which no statement takes longer than `timeoutMs`. */
export const boundedRead = <T>(
  database: Database,
  { timeoutMs }: { readonly timeoutMs: number },
  work: (db: Queryable) => Promise<T>,
): Promise<T> =>
  database.transaction(async (db) => {
    await rowsOf(db, { text: SETTINGS, values: [String(timeoutMs)] })
    return work(db)
  })

/** A statement that takes longer than this ends its search: a batch of a million members does not justify more. */
const SEARCH_STATEMENT_MS = 1_000

/**
 * A `boundedRead` that searches for few rows among many. `work` ends by itself when its time is up, and keeps what it found
 * outside. A statement that takes too long also ends the search.
 */
export const boundedSearch = async (database: Database, work: (db: Queryable) => Promise<void>): Promise<void> => {
  try {
    await boundedRead(database, { timeoutMs: SEARCH_STATEMENT_MS }, work)
  } catch (error) {
    if (!isCancelled(error)) throw error
  }
}
