import { endsSession, isRetryable, sqlState } from '../../errors.ts'
import { events } from '../../events.ts'
import { freePlaces, promoteWaiting } from '../../sql/concurrency/claims.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import { inTransaction } from '../../sql/transaction/read-committed.ts'
import type { Outcome } from './outcome.ts'
import type { OutcomeContext } from './transaction.ts'

/**
 * Frees the places of jobs that concurrency rules counted, after the commit of their outcomes. A lost connection is thrown: the
 * outcomes are tried again, found written, and passed here once more. Any other error must not keep outcomes back. It is emitted, and
 * a waiting job becomes due by its own retry, as in GoodJob 4.23.1 job.rb#release_concurrency_claims.
 */
export const freePlacesOf = async (
  db: Queryable,
  outcomes: readonly Outcome[],
  { facts, processId, notifies, check }: OutcomeContext,
): Promise<void> => {
  if (outcomes.length === 0) return
  const jobs = outcomes.map(({ row, claimKeys }) => ({ ...row, claimKeys }))
  const promoter = { processId, notifies, now: check.clock.timestamp() }
  try {
    const freed = await freePlaces(db, facts, jobs, promoter)
    if (freed.length === 0) return
    const keys = await inTransaction(db, () => promoteWaiting(db, facts, freed, promoter))
    if (keys.length > 0) events.emit('concurrency_promoted', { processId, keys })
  } catch (error) {
    if (sqlState(error) === undefined || endsSession(error) || isRetryable(error)) throw error
    events.emit('worker_error', { processId, part: 'concurrency claims', error })
  }
}
