import { batchLockKey } from '../advisory-lock.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'

export interface LockedJob {
  readonly id: string
  readonly batch_id: string | null
  readonly batch_callback_id: string | null
  /** Another transaction holds the row, or one of its executions that the outcome changes. */
  readonly is_locked: boolean
}

/** $1 ids uuid[] · $2 execution ids uuid[] · $3 ids of jobs with all of their executions uuid[] */
const FIND_LOCKED_JOBS = `
WITH free AS MATERIALIZED (SELECT id FROM good_jobs WHERE id = ANY ($1::uuid[]) FOR UPDATE SKIP LOCKED),
free_attempt AS MATERIALIZED (
  SELECT id FROM good_job_executions WHERE id = ANY ($2::uuid[]) OR active_job_id = ANY ($3::uuid[]) FOR UPDATE SKIP LOCKED
),
locked_attempt AS MATERIALIZED (
  SELECT active_job_id
  FROM good_job_executions AS attempt
  WHERE (id = ANY ($2::uuid[]) OR active_job_id = ANY ($3::uuid[])) AND NOT EXISTS (SELECT 1 FROM free_attempt WHERE free_attempt.id = attempt.id)
)
SELECT id, batch_id, batch_callback_id,
  NOT EXISTS (SELECT 1 FROM free WHERE free.id = good_jobs.id)
    OR EXISTS (SELECT 1 FROM locked_attempt WHERE active_job_id = good_jobs.id) AS is_locked
FROM good_jobs
WHERE id = ANY ($1::uuid[])`

/** A job to be written, with the attempt that is closed; deleting it deletes all of its attempts. */
export interface JobToWrite {
  readonly id: string
  readonly executionId: string
  readonly isDeleted: boolean
}

/** Returns those of these jobs that exist, and whether their rows are free. Free rows stay locked for this transaction. */
export const findLockedJobs = (db: Queryable, jobs: readonly JobToWrite[]): Promise<LockedJob[]> =>
  rowsOf<LockedJob & Record<string, unknown>>(db, {
    text: FIND_LOCKED_JOBS,
    values: [
      jobs.map(({ id }) => id),
      jobs.map(({ executionId }) => executionId),
      jobs.filter(({ isDeleted }) => isDeleted).map(({ id }) => id),
    ],
  })

/** $1 ids uuid[] · $2 advisory keys bigint[] */
const FIND_LOCKED_BATCHES = `
WITH free AS MATERIALIZED (SELECT id FROM good_job_batches WHERE id = ANY ($1::uuid[]) FOR NO KEY UPDATE SKIP LOCKED),
batch AS MATERIALIZED (
  SELECT id, pg_try_advisory_xact_lock(key) AS has_lock FROM unnest($1::uuid[], $2::bigint[]) AS batch(id, key)
)
SELECT id
FROM batch
WHERE NOT has_lock
  OR (EXISTS (SELECT 1 FROM good_job_batches WHERE good_job_batches.id = batch.id) AND NOT EXISTS (SELECT 1 FROM free WHERE free.id = batch.id))`

/**
 * Returns the batches that another session has locked, by GoodJob's batch lock or their row; the other batches stay locked for this
 * transaction.
 */
export const findLockedBatches = async (db: Queryable, ids: readonly string[]): Promise<string[]> => {
  if (ids.length === 0) return []
  const rows = await rowsOf<{ id: string }>(db, { text: FIND_LOCKED_BATCHES, values: [ids, ids.map(batchLockKey)] })
  return rows.map(({ id }) => id)
}
