import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import type { LockedBatch } from './check.ts'
import { CALLBACK_CREATED_AT } from './history.ts'

/**
 * Ruby commits the outcome of a member and discards the batch afterwards, based on what it has in memory. A process delayed between
 * the two steps may discard a batch that has recovered since. The success callback of such a batch is older than the discard, and
 * every member had ended well by then.
 *
 * $1 batch uuid · $2 discarded_at · $3 end of the arming's jobs · $4 enqueued_at, all timestamp
 */
const findLateDiscard = ({ timestampType }: Facts): string => `
SELECT 1 FROM (
  SELECT ${CALLBACK_CREATED_AT} AS created_at
  FROM good_jobs AS callback
  WHERE callback.batch_callback_id = $1 AND callback.serialized_params #>> '{arguments,1,event,value}' = 'success'
) AS success
WHERE success.created_at BETWEEN greatest($3::${timestampType} - interval '1 second', $4::${timestampType}) AND $2::${timestampType}
  AND NOT EXISTS (
    SELECT 1 FROM good_jobs
    WHERE batch_id = $1 AND (finished_at IS NULL OR error IS NOT NULL OR finished_at > success.created_at)
  )
LIMIT 1`

/** True if the discard of this batch belongs to a failure that had already been recovered. */
export const isDiscardedLate = async (db: Queryable, facts: Facts, batch: LockedBatch): Promise<boolean> => {
  const jobsFinishedAt = facts.hasJobsFinishedAt ? batch.jobs_finished_at : batch.finished_at
  const values = [batch.id, batch.discarded_at, jobsFinishedAt, batch.enqueued_at]
  return (await rowsOf(db, { text: findLateDiscard(facts), values })).length > 0
}
