import { isoText, type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'

/** A batch that was never discarded although one of its members is broken. */
export interface OwedDiscard {
  readonly id: string
  readonly description: string | null
  /** The member that broke first. */
  readonly memberId: string
}

/**
 * In a running batch the member must have broken since the batch was last written: when Ruby retries a batch it first takes the
 * discard back, and retries each broken member later. In a batch whose jobs have ended the member must have broken after that end.
 * A member that broke earlier stands beside a success callback that Ruby enqueued too early, which a discard would not take back. A
 * job that a user discarded manually in Ruby counts when the batch ends, not before.
 */
const isOwed = ({ hasJobsFinishedAt }: Facts, quietSince: string) => {
  const jobsFinishedAt = hasJobsFinishedAt ? 'batch.jobs_finished_at' : 'batch.finished_at'
  return `batch.discarded_at IS NULL AND batch.updated_at < ${quietSince}
    AND CASE WHEN ${jobsFinishedAt} IS NULL THEN broken.finished_at >= batch.updated_at ELSE broken.finished_at > ${jobsFinishedAt} END
    AND EXISTS (
      SELECT 1 FROM good_jobs WHERE id = broken.id AND batch_id = batch.id AND error NOT LIKE 'GoodJob::Job::DiscardJobError: %'
    )`
}

/**
 * Reads from the broken jobs to their batches: broken jobs are few, so the many healthy batches cost nothing. Only the jobs that
 * broke last are read, by index_good_jobs_on_discarded: an application that keeps millions of discarded jobs does not pay for them
 * at every sweep.
 *
 * $1 created after, broken after · $2 quiet since
 */
const findOwedDiscardsText = (facts: Facts) => `
WITH broken AS MATERIALIZED (
  SELECT id, batch_id, finished_at
  FROM good_jobs
  WHERE finished_at IS NOT NULL AND error IS NOT NULL
    AND finished_at > $1::${facts.timestampType} AND finished_at < $2::${facts.timestampType}
  ORDER BY finished_at DESC
  LIMIT 10000
)
SELECT DISTINCT ON (batch.id) batch.id::text AS id, batch.description, broken.id::text AS "memberId"
FROM broken
JOIN good_job_batches AS batch ON batch.id = broken.batch_id
WHERE batch.created_at > $1::${facts.timestampType} AND ${isOwed(facts, `$2::${facts.timestampType}`)}
ORDER BY batch.id, broken.finished_at`

/** Returns batches whose discard has been owed since before `quietSince`. Empty if the index is missing. */
export const findOwedDiscards = async (
  db: Queryable,
  facts: Facts,
  { createdAfter, quietSince }: { readonly createdAfter: string; readonly quietSince: string },
): Promise<OwedDiscard[]> => {
  if (!facts.hasDiscardedIndex) return []
  return rowsOf<OwedDiscard & Record<string, unknown>>(db, {
    text: findOwedDiscardsText(facts),
    values: [createdAfter, quietSince],
  })
}

/** $1 member uuid · $2 batch uuid · $3 quiet since */
const readBrokenAt = (facts: Facts) => `
SELECT to_json(broken.finished_at) #>> '{}' AS "brokenAt"
FROM good_jobs AS broken
JOIN good_job_batches AS batch ON batch.id = broken.batch_id
WHERE broken.id = $1::uuid AND batch.id = $2::uuid AND broken.finished_at IS NOT NULL AND broken.error IS NOT NULL
  AND ${isOwed(facts, `$3::${facts.timestampType}`)}`

/** Returns when the member broke, if its batch still owes the discard. Call it under the lock of the batch. */
export const findBrokenAt = async (
  db: Queryable,
  facts: Facts,
  { id, memberId }: OwedDiscard,
  quietSince: string,
): Promise<string | undefined> => {
  const [row] = await rowsOf<{ brokenAt: string }>(db, {
    text: readBrokenAt(facts),
    values: [memberId, id, quietSince],
  })
  return row && isoText(row.brokenAt)
}
