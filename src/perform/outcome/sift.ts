import { PROGRAM_LIMIT_EXCEEDED, sqlState } from '../../errors.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import { inTransaction } from '../../sql/transaction/read-committed.ts'
import type { Outcome } from './outcome.ts'
import { OutcomeSifting } from './sifting.ts'
import { OnOtherTerms, type Sifted, type Terms } from './sifting-terms.ts'
import type { OutcomeContext } from './transaction.ts'

/**
 * Writes, in one transaction, those outcomes that Postgres accepts of a group that it refused. If the check of a batch is refused,
 * the batch keeps its state: the outcome stands, and the sweep enqueues its callbacks. A job is blamed for a refusal only if the
 * same transaction proves it.
 */
export const siftOutcomes = async (
  db: Queryable,
  outcomes: readonly Outcome[],
  context: OutcomeContext,
): Promise<Sifted> => {
  let terms: Terms = { isSilent: false, keptBatches: new Set(), excluded: new Map() }
  for (;;) {
    const sift = new OutcomeSifting(db, outcomes, context, terms)
    let isReady = false
    try {
      await inTransaction(db, async () => {
        await sift.run()
        isReady = true
      })
    } catch (error) {
      if (error instanceof OnOtherTerms) terms = error.terms
      // Only a COMMIT sends notifications: their queue is full, because a listening session does not end its transaction.
      else if (isReady && !terms.isSilent && sqlState(error) === PROGRAM_LIMIT_EXCEEDED)
        terms = { ...terms, isSilent: true }
      else throw error
      continue
    }
    sift.announce()
    await sift.checkJoined()
    await sift.freePlaces()
    return sift.result
  }
}
