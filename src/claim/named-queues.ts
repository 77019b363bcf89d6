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
  /** undefined if pauses are not honoured. */
  readonly paused: (() => Promise<Pauses>) | undefined
  readonly clock: Clock
}

/**
 * Returns the queues that the next claim asks for. If the head is full of jobs in excluded or paused queues, the claim names the
 * other queues, because each named queue has an index in the order of the claim.
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

/** Returns the queues with waiting jobs that the pool serves at present; the unchanged selector if they cannot be named. */
const nameQueues = async ({ selector, database, paused }: ServedQueues): Promise<QueueSelector> => {
  const excluded = selector.kind === 'exclude' ? selector.queues : []
  const unserved = new Set([...excluded, ...((await paused?.())?.queues ?? [])])
  if (unserved.size === 0 || !(await database.facts()).hasQueueDequeueIndex) return selector
  return (await findOtherQueues(database.pool, unserved)) ?? selector
}

/** Returns the queues with waiting jobs except these, for a claim that names them; undefined if they cannot be named. */
export const findOtherQueues = async (
  db: Queryable,
  unserved: ReadonlySet<string>,
): Promise<QueueSelector | undefined> => {
  const waiting = await findWaitingQueues(db)
  const queues = waiting?.filter((name) => !unserved.has(name))
  return queues && { kind: 'include', queues, isOrdered: false, isSnapshot: true }
}
