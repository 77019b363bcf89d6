import type { ClaimOptions } from '../sql/claim/claim.ts'
import type { Database, Facts } from '../sql/database.ts'

export interface LaneOptions {
  readonly database: Database
  readonly processId: string
  /** What claims are sorted by. */
  readonly sort: ClaimOptions['sort']
  /** Attempts whose lock could not be taken again after a loss: their signal is to be fired, their result dropped. */
  readonly onClaimsLost: (jobIds: readonly string[]) => void
  /** The lane works (again). */
  readonly onReady: () => void
}

/** A claim whose advisory lock a lane holds. */
export interface HeldClaim {
  readonly id: string
  readonly lockedAt: string
}

/** What a claim takes, as far as the lane does not know it. */
export type ClaimRequest = Pick<
  ClaimOptions,
  | 'selector'
  | 'jobClasses'
  | 'sort'
  | 'honoursPauses'
  | 'selectLimit'
  | 'limit'
  | 'now'
  | 'dueUntil'
  | 'from'
  | 'newlyDue'
>

/** Jobs that a statement on a lane has taken, and what that statement knew. */
export interface TakenJobs<R> {
  readonly rows: readonly R[]
  readonly facts: Facts
  /** The stamp of the claim. */
  readonly now: string
  readonly processId: string
}
