import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'

/** A claim of this process, with the time that was written to its row. */
export interface WatchedClaim {
  readonly id: string
  readonly lockedAt: string
}

/** How a claim was lost: another session finished the job, deleted its row, or cleared or replaced the lock columns. */
export type LostBy = 'finished' | 'deleted' | 'released'

export interface WithdrawnClaim {
  readonly id: string
  readonly lost_by: LostBy
}

// $1 ids uuid[] · $2 locked_at timestamp[] · $3 process uuid
const findWithdrawnText = ({ timestampType }: Facts) => `
SELECT claimed.id, CASE WHEN good_jobs.id IS NULL THEN 'deleted' WHEN finished_at IS NOT NULL THEN 'finished' ELSE 'released' END AS lost_by
FROM unnest($1::uuid[], $2::${timestampType}[]) AS claimed(id, locked_at)
LEFT JOIN good_jobs ON good_jobs.id = claimed.id
WHERE good_jobs.id IS NULL
  OR finished_at IS NOT NULL
  OR locked_by_id IS DISTINCT FROM $3::uuid
  OR good_jobs.locked_at IS DISTINCT FROM claimed.locked_at`

/** Returns the claims of running jobs that another session has ended or taken away. */
export const findWithdrawnClaims = (
  db: Queryable,
  facts: Facts,
  processId: string,
  claims: readonly WatchedClaim[],
): Promise<WithdrawnClaim[]> =>
  rowsOf<WithdrawnClaim & Record<string, unknown>>(db, {
    text: findWithdrawnText(facts),
    values: [claims.map(({ id }) => id), claims.map(({ lockedAt }) => lockedAt), processId],
  })
