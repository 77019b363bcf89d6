import type { EnqueueAdapter } from '../../enqueue/adapter.ts'
import { findBatchStates, type LockedBatch } from '../../sql/batch/check.ts'
import { findBatchHistory } from '../../sql/batch/history.ts'
import { type BatchCursor, searchBatches } from '../../sql/batch/list.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Facts } from '../../sql/database.ts'
import { boundedSearch } from '../../sql/transaction/bounded-read.ts'
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
  /** Batches older than this one were not examined, because enough were found or time ran out. Undefined when all were examined. */
  readonly next: BatchCursor | undefined
  /** Time ran out. */
  readonly isCut: boolean
}

interface SearchOptions {
  readonly limit: number
  readonly budgetMs: number
  readonly after?: BatchCursor | undefined
}

const PAGE = 50

/** The youngest batches that cannot prove their success. Ends after `budgetMs` with what was found by then. */
export const findUnprovenBatches = async (
  adapter: EnqueueAdapter,
  { limit, budgetMs, after }: SearchOptions,
): Promise<UnprovenSearch> => {
  const batches: UnprovenBatch[] = []
  let isCut = true
  let next = after
  await boundedSearch(adapter.database, async (db) => {
    const deadline = performance.now() + budgetMs
    for await (const { position, unproven } of examine(adapter, db, after)) {
      if (unproven !== undefined) batches.push(unproven)
      next = position
      const isFull = batches.length === limit
      isCut = !isFull && next !== undefined
      if (isFull || performance.now() > deadline) return
    }
    next = undefined
    isCut = false
  })
  return { batches, next, isCut }
}

interface Examined {
  /** Undefined after the last batch. */
  readonly position: BatchCursor | undefined
  readonly unproven?: UnprovenBatch | undefined
}

/** Yields the position of the search: after each batch in which no member is open or broken, and after each step over other batches. */
async function* examine(
  adapter: EnqueueAdapter,
  db: Queryable,
  after: BatchCursor | undefined,
): AsyncGenerator<Examined> {
  const facts = await adapter.database.facts()
  let position = after
  do {
    const found = await searchBatches(db, facts, { state: 'recoverable', limit: PAGE, after: position })
    const ids = found.batches.map(({ id }) => id)
    const states = await findBatchStates(db, facts, ids)
    for (const [index, { id, created_at, description, discarded_at }] of found.batches.entries()) {
      const state = states.find((each) => each.id === id)
      const reason = state && needsProof(state) ? await unprovenReason(adapter, db, facts, state) : undefined
      const unproven = reason === undefined ? undefined : { id, created_at, description, discarded_at, reason }
      const isLast = found.position === undefined && index === found.batches.length - 1
      yield { position: isLast ? undefined : { id, created_at }, unproven }
    }
    position = found.position
    if (position !== undefined) yield { position }
  } while (position !== undefined)
}

const unprovenReason = async (
  adapter: EnqueueAdapter,
  db: Queryable,
  facts: Facts,
  state: LockedBatch,
): Promise<string | undefined> => {
  const proof = await proveRecovery(db, facts, state, checkOptionsOf(adapter), adapter.clock.now())
  if (proof.kind !== 'unproven') return undefined
  // With a success callback the batch is a false success, which is reported as such.
  const history = await findBatchHistory(db, facts, state, state.discarded_at ?? '')
  return history.has_success_callback ? undefined : proof.reason
}
