import { ClaimCursor } from '../../claim/claim-cursor.ts'
import type { CandidateOptions } from '../../sql/claim/candidates.ts'
import type { LimitedJobs } from '../../sql/concurrency/limited.ts'

/**
 * The claims of a pool for one kind of jobs: all of them, or, if starts are deferred, those with concurrency rules and those without.
 */
export class ClaimStream {
  readonly cursor: ClaimCursor
  /** What the claims do with jobs that have concurrency rules. */
  readonly limited: LimitedJobs['claim']
  mayHaveWork = true

  constructor(sort: CandidateOptions['sort'], limited: LimitedJobs['claim']) {
    this.cursor = new ClaimCursor(sort)
    this.limited = limited
  }

  /** There may be jobs before the position of the cursor, too. */
  wake(): void {
    this.mayHaveWork = true
    this.cursor.wake()
  }
}
