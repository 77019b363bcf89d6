import type { Position } from '../sql/claim/candidates.ts'

/**
 * Where the next claim of a pool begins.
 *
 * - `head`: Nothing is known of the queue, or its first job has no position (jobs without a priority come last, and no comparison
 *   finds them). Every claim begins at the head.
 * - `position`: A claim ended at this position and there were more jobs. The head may be full of jobs of other workers, jobs that are
 *   not due, and dead index entries; the next claim begins at the position and skips all of them. Jobs before the position (an urgent
 *   job, a job that became due, a retry) are found when a wake-up or the time asks for them.
 * - `end`: A claim returned every job that was due, the last one at this position. Claims continue from here. Jobs that they miss became
 *   due since, so an expensive query at the head is replaced by one for all due jobs, by the time at which they became due.
 * - `drained`: Every job that was due was claimed, and no position is left. Claims ask only for jobs that became due since.
 */
export type CursorState =
  | { readonly at: 'head' | 'drained'; readonly position: undefined }
  | { readonly at: 'position' | 'end'; readonly position: Position }

/**
 * The jobs that a claim asks for.
 *
 * - `head`: from the first job of the queue on.
 * - `position`: from the position on.
 * - `newlyDue`: jobs that became due since a query returned all of them, before the position if there is one; by the index of scheduled_at.
 * - `allDue`: jobs that are due, whenever they became due; by the index of scheduled_at. It finds jobs that `newlyDue` misses, e.g.
 *   released ones.
 */
export type QueryKind = 'head' | 'position' | 'newlyDue' | 'allDue'

/**
 * What the next claim has to find beside the jobs behind the position: `cheapHead` and `expensiveHead` are any job that may be claimed, by
 * the cost of the last query at the head.
 */
export type Need = 'cheapHead' | 'expensiveHead' | 'newlyDue' | 'nothing'

export const NEXT_QUERY: Readonly<Record<CursorState['at'], Readonly<Record<Need, QueryKind>>>> = {
  head: { cheapHead: 'head', expensiveHead: 'head', newlyDue: 'head', nothing: 'head' },
  position: { cheapHead: 'head', expensiveHead: 'head', newlyDue: 'newlyDue', nothing: 'position' },
  end: { cheapHead: 'head', expensiveHead: 'allDue', newlyDue: 'newlyDue', nothing: 'position' },
  drained: { cheapHead: 'head', expensiveHead: 'allDue', newlyDue: 'newlyDue', nothing: 'newlyDue' },
}

/** A claim is full if it returns as many jobs as it asked for. Lanes share a cursor, so a result may arrive in any state. */
export type Answer =
  | 'head, full'
  | 'head, short'
  | 'position'
  | 'position, short, expensive head'
  | 'allDue, full'
  | 'allDue, short'

export const NEXT_STATE: Readonly<Record<Answer, Readonly<Record<CursorState['at'], CursorState['at']>>>> = {
  'head, full': { head: 'position', position: 'position', end: 'position', drained: 'position' },
  'head, short': { head: 'end', position: 'end', end: 'end', drained: 'end' },
  position: { head: 'position', position: 'position', end: 'end', drained: 'end' },
  'position, short, expensive head': { head: 'drained', position: 'drained', end: 'drained', drained: 'drained' },
  // With that many due jobs their order counts, so the next claim begins at the head.
  'allDue, full': { head: 'head', position: 'head', end: 'head', drained: 'head' },
  'allDue, short': { head: 'drained', position: 'end', end: 'end', drained: 'drained' },
}
