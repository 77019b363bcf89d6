import type { ClaimOptions } from '../sql/claim/claim.ts'
import type { Database, Facts } from '../sql/database.ts'
import type { LockedRow } from '../sql/deferred/statements.ts'

export interface LaneOptions {
  readonly database: Database
  readonly processId: string
  /** What claims are sorted by. */
  readonly sort: ClaimOptions['sort']
  /** Milliseconds for which the start of a job may stay unwritten; 0: claims write it. */
  readonly deferStartMs: number
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

/** What a round of deferred starts runs with. */
export interface LockedRound {
  readonly rows: readonly LockedRow[]
  readonly facts: Facts
  readonly now: string
  readonly processId: string
}
