import type { EnqueueAdapter } from '../../enqueue/adapter.ts'
import { findBatchStates, type LockedBatch } from '../../sql/batch/check.ts'
import { findBatchHistory } from '../../sql/batch/history.ts'
import { type BatchCursor, findRecoverablePage } from '../../sql/batch/list.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Facts } from '../../sql/database.ts'
import { checkOptionsOf } from '../context.ts'
import { needsProof } from './decision.ts'
import { proveRecovery } from './proof.ts'

/** A discarded batch without open or broken members, and why it may not recover. */
export interface UnprovenBatch extends BatchCursor {
  readonly description: string | null
  readonly discarded_at: string | null
  readonly reason: string
}

export interface UnprovenSearch {
  readonly batches: readonly UnprovenBatch[]
  /** Where the search ran out of time: batches created before were not examined. Undefined when all were, or enough were found. */
  readonly stoppedAt: BatchCursor | undefined
}

const PAGE = 50

/** The youngest batches that cannot prove their success; ends after `budgetMs` with what it found. */
export const findUnprovenBatches = async (
  adapter: EnqueueAdapter,
  db: Queryable,
  { limit, budgetMs }: { readonly limit: number; readonly budgetMs: number },
): Promise<UnprovenSearch> => {
  const facts = await adapter.database.facts()
  const deadline = performance.now() + budgetMs
  const batches: UnprovenBatch[] = []
  let after: BatchCursor | undefined
  for (;;) {
    const page = await findRecoverablePage(db, facts, { limit: PAGE, after })
    const states = await findBatchStates(
      db,
      facts,
      page.map(({ id }) => id),
    )
    for (const batch of page) {
      const state = states.find(({ id }) => id === batch.id)
      const reason = state && needsProof(state) ? await unprovenReason(adapter, db, facts, state) : undefined
      if (reason !== undefined) batches.push({ ...batch, reason })
      if (batches.length === limit) return { batches, stoppedAt: undefined }
      if (performance.now() > deadline) return { batches, stoppedAt: batch }
    }
    after = page.length === PAGE ? page.at(-1) : undefined
    if (after === undefined) return { batches, stoppedAt: undefined }
  }
}

const unprovenReason = async (
  adapter: EnqueueAdapter,
  db: Queryable,
  facts: Facts,
  state: LockedBatch,
): Promise<string | undefined> => {
  const proof = await proveRecovery(db, facts, state, checkOptionsOf(adapter), adapter.clock.now())
  if (proof.kind !== 'unproven') return undefined
  // With a success callback it is a false success, which is reported as that.
  const history = await findBatchHistory(db, facts, state, state.discarded_at ?? '')
  return history.has_success_callback ? undefined : proof.reason
}
