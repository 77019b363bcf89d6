import { PROGRAM_LIMIT_EXCEEDED, sqlState } from '../../errors.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import { inTransaction } from '../../sql/transaction/read-committed.ts'
import type { CompletedAttempt } from './outcome.ts'
import { OutcomeSifting } from './sifting.ts'
import { OnOtherTerms, type Sifted, type Terms } from './sifting-terms.ts'
import type { OutcomeContext } from './transaction.ts'

/**
 * Writes, in one transaction, what Postgres takes of outcomes that it refused together. A batch whose check is refused keeps its state: the
 * outcome stands, its callbacks are the sweep's. The job is to blame for a refusal only where the same transaction proves it.
 */
export const siftOutcomes = async (
  db: Queryable,
  attempts: readonly CompletedAttempt[],
  context: OutcomeContext,
): Promise<Sifted> => {
  let terms: Terms = { isSilent: false, keptBatches: new Set(), excluded: new Map() }
  for (;;) {
    const sift = new OutcomeSifting(db, attempts, context, terms)
    let isReady = false
    try {
      await inTransaction(db, async () => {
        await sift.run()
        isReady = true
      })
    } catch (error) {
      if (error instanceof OnOtherTerms) terms = error.terms
      // Only a COMMIT sends messages: their queue is full, because a session that listens does not end its transaction.
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
