import { GoodJobError } from '../../errors.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'

/**
 * A transaction that waits for a lock and then reads must see what the previous holder committed. Only READ COMMITTED takes a new
 * snapshot for each statement. At any other level the check of a batch would be based on the state before the wait, and Postgres
 * refuses the UPDATE of a row that changed meanwhile (40001). Databases and roles may have another default, so nothing here relies
 * on it: transactions begin with this text, sessions have PINNED_SETTINGS, and a transaction of the caller is checked
 * (`seesCommits`).
 *
 * A default of read only is left as it is: a DBA, or a provider whose disk is nearly full, uses it to stop all writing.
 */
export const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED'

/**
 * For sessions of our own, whose single statements are transactions as well. Never set through a pooler, which may lend a session
 * to others.
 */
export const PINNED_SETTINGS = { default_transaction_isolation: 'read committed' }

/**
 * Runs BEGIN, `work` and COMMIT on one connection. If `work` throws, runs ROLLBACK and throws that error. Each statement of `work`
 * sees everything committed before it. The message that begins the transaction also carries the statements `opening`.
 */
export const inTransaction = async <T>(
  client: Queryable,
  work: () => Promise<T>,
  opening: readonly string[] = [],
): Promise<T> => {
  const begin = () => client.query({ text: [BEGIN, ...opening].join('; ') })
  // Alone, BEGIN fails only with its connection, and then there is nothing to roll back.
  if (opening.length === 0) await begin()
  try {
    if (opening.length > 0) await begin()
    const result = await work()
    const { command } = await client.query({ text: 'COMMIT' })
    // Postgres accepts the COMMIT of a transaction in which a statement failed. It rolls back and returns ROLLBACK as the command.
    if (command === 'ROLLBACK') throw new GoodJobError('Postgres rolled a transaction back instead of committing it')
    return result
  } catch (error) {
    // The connection may be the cause; the first error is the one to report.
    await client.query({ text: 'ROLLBACK' }).catch(() => undefined)
    throw error
  }
}

// READ UNCOMMITTED is READ COMMITTED in Postgres.
const SEES_COMMITS = `SELECT current_setting('transaction_isolation') LIKE 'read %' AS sees_commits`

/**
 * True if each statement of the open transaction sees what other sessions have committed by then. If false, nothing may be decided
 * by rows that other sessions write, not even under their lock.
 */
export const seesCommits = async (transaction: Queryable): Promise<boolean> => {
  const [row] = await rowsOf<{ sees_commits: boolean }>(transaction, { text: SEES_COMMITS })
  return row?.sees_commits ?? false
}
