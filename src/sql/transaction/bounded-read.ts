import { isCancelled } from '../../errors.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Database } from '../database.ts'

/**
 * Without sequential scans: for a page of few rows the planner counts on meeting them soon, and reads a table of millions when they
 * stand at its end.
 */
const SETTINGS = `
SELECT set_config('transaction_read_only', 'on', true), set_config('enable_seqscan', 'off', true),
  set_config('jit', 'off', true), set_config('statement_timeout', $1, true)`

/** For what people look at: runs `work` in a transaction that only reads, in which no statement takes longer than `timeoutMs`. */
export const boundedRead = <T>(
  database: Database,
  { timeoutMs }: { readonly timeoutMs: number },
  work: (db: Queryable) => Promise<T>,
): Promise<T> =>
  database.transaction(async (db) => {
    await rowsOf(db, { text: SETTINGS, values: [String(timeoutMs)] })
    return work(db)
  })

/** A statement of a search that takes longer than this ends it: a batch of a million members is not worth more. */
const SEARCH_STATEMENT_MS = 1_000

/**
 * A `boundedRead` of few among many: `work` ends by itself when its time is over, and leaves what it found outside. A statement that takes
 * too long ends it, too.
 */
export const boundedSearch = async (database: Database, work: (db: Queryable) => Promise<void>): Promise<void> => {
  try {
    await boundedRead(database, { timeoutMs: SEARCH_STATEMENT_MS }, work)
  } catch (error) {
    if (!isCancelled(error)) throw error
  }
}
