import { ClaimCursor } from '../../claim/claim-cursor.ts'
import type { LimitedClaims } from '../../perform/limits/pool-limits.ts'
import type { CandidateOptions, Position } from '../../sql/claim/candidates.ts'
import type { LimitedJobs } from '../../sql/concurrency/limited.ts'

/**
 * The claims of a pool for one kind of jobs: all of them, or, if starts are deferred, those with concurrency rules and those without.
 */
export class ClaimStream implements LimitedClaims {
  readonly cursor: ClaimCursor
  /** What the claims do with jobs that have concurrency rules. */
  readonly limited: LimitedJobs['claim']
  mayHaveWork = true

  constructor(sort: CandidateOptions['sort'], limited: LimitedJobs['claim']) {
    this.cursor = new ClaimCursor(sort)
    this.limited = limited
  }

  get position(): Position | undefined {
    return this.cursor.position
  }

  reopen(sinceMs: number): void {
    this.mayHaveWork = true
    this.cursor.reopen(sinceMs)
  }

  /** There may be jobs before the position of the cursor, too. */
  wake(): void {
    this.mayHaveWork = true
    this.cursor.wake()
  }
}
