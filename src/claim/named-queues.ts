import type { Pauses } from '../job/pauses.ts'
import type { QueueSelector } from '../sql/claim/candidates.ts'
import { findWaitingQueues } from '../sql/claim/waiting-queues.ts'
import type { Queryable } from '../sql/connection/queryable.ts'
import type { Database } from '../sql/database.ts'
import type { Clock } from '../time.ts'
import type { ClaimCursor } from './claim-cursor.ts'
import type { Lane } from './lane.ts'
import { answeredBeside } from './lane-patience.ts'

export interface ServedQueues {
  readonly selector: QueueSelector
  readonly database: Database
  /** undefined where pauses are not honoured. */
  readonly paused: (() => Promise<Pauses>) | undefined
  readonly clock: Clock
}

/**
 * The queues that the next claim asks for. Where the head is full of jobs in queues that are excluded or paused, the claim names the others,
 * because each named queue has an index in the order of the claim.
 */
export const queuesOfNextClaim = async (
  lane: Lane,
  cursor: ClaimCursor,
  served: ServedQueues,
): Promise<QueueSelector> => {
  const { selector, clock } = served
  if (selector.kind === 'include' || !cursor.wantsExpensiveHead(clock.monotonic())) return selector
  return (await answeredBeside(lane, nameQueues(served))) ?? selector
}

/** The queues with unfinished jobs that the pool serves at present; the unchanged selector when they cannot be named. */
const nameQueues = async ({ selector, database, paused }: ServedQueues): Promise<QueueSelector> => {
  const excluded = selector.kind === 'exclude' ? selector.queues : []
  const unserved = new Set([...excluded, ...((await paused?.())?.queues ?? [])])
  if (unserved.size === 0 || !(await database.facts()).hasQueueDequeueIndex) return selector
  return (await findOtherQueues(database.pool, unserved)) ?? selector
}

/** The queues with unfinished jobs but these, for a claim that names them; undefined where they cannot be named. */
export const findOtherQueues = async (
  db: Queryable,
  unserved: ReadonlySet<string>,
): Promise<QueueSelector | undefined> => {
  const waiting = await findWaitingQueues(db)
  const queues = waiting?.filter((name) => !unserved.has(name))
  return queues && { kind: 'include', queues, isOrdered: false, isSnapshot: true }
}
