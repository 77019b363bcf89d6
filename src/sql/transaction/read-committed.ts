import { GoodJobError } from '../../errors.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'

/**
 * Whoever waits for a lock and then reads must see what the former holder committed. Only READ COMMITTED takes a new snapshot for each
 * statement; with any other level the check of a batch would decide by what was true before the wait, and an UPDATE of a row that changed
 * meanwhile is refused (40001). Databases and roles may have another default, so nothing here relies on it: transactions begin with this
 * text, sessions have PINNED_SETTINGS, and a transaction of the caller's is asked (`seesCommits`).
 *
 * A default of read only is left as it is: it is how a DBA, or a provider whose disk is nearly full, stops all writing.
 */
export const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED'

/** For sessions of our own, whose single statements are transactions as well. A pooler may lend a session to others: never on those. */
export const PINNED_SETTINGS = { default_transaction_isolation: 'read committed' }

/** BEGIN, `work`, COMMIT on one connection; ROLLBACK and the error when it throws. Each statement of `work` sees what is committed by then. */
export const inTransaction = async <T>(client: Queryable, work: () => Promise<T>): Promise<T> => {
  await client.query({ text: BEGIN })
  try {
    const result = await work()
    const { command } = await client.query({ text: 'COMMIT' })
    // Postgres does not refuse to commit a transaction in which a statement failed: it rolls back and says so by this word.
    if (command === 'ROLLBACK') throw new GoodJobError('Postgres rolled a transaction back instead of committing it')
    return result
  } catch (error) {
    // The connection may be the reason; the first error is the one to tell.
    await client.query({ text: 'ROLLBACK' }).catch(() => undefined)
    throw error
  }
}

// READ UNCOMMITTED is READ COMMITTED in Postgres.
const SEES_COMMITS = `SELECT current_setting('transaction_isolation') LIKE 'read %' AS sees_commits`

/**
 * Whether each statement of the open transaction sees what others have committed by then. Where it does not, nothing may be decided
 * by rows that others write: not even under their lock.
 */
export const seesCommits = async (transaction: Queryable): Promise<boolean> => {
  const [row] = await rowsOf<{ sees_commits: boolean }>(transaction, { text: SEES_COMMITS })
  return row?.sees_commits ?? false
}
