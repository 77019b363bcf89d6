import type { ClaimOptions } from '../sql/claim/claim.ts'
import type { LimitedRow } from '../sql/concurrency/limited.ts'
import type { Database, Facts } from '../sql/database.ts'

export interface LaneOptions {
  readonly database: Database
  readonly processId: string
  /** The order of claims. */
  readonly sort: ClaimOptions['sort']
  /** Called with attempts whose lock could not be taken again after a loss: their signal has to fire, their result is dropped. */
  readonly onClaimsLost: (jobIds: readonly string[]) => void
  /** Called when the lane works (again). */
  readonly onReady: () => void
}

/** A claim whose advisory lock a lane holds. */
export interface HeldClaim {
  readonly id: string
  readonly lockedAt: string
}

/** The options of a claim that the caller decides. */
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
  | 'limits'
>

/** Jobs that a statement on a lane has taken, with the facts and values that the statement used. */
export interface TakenJobs<R> {
  readonly rows: readonly R[]
  /** All jobs that the statement has found, in their order. */
  readonly found: readonly (R | LimitedRow)[]
  /** Those that a concurrency rule limits. They are neither locked nor started. */
  readonly limited: readonly LimitedRow[]
  readonly facts: Facts
  /** The time that the claim wrote to the rows. */
  readonly now: string
  readonly processId: string
}
