import { countOf, type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'

export interface DeletedCounts {
  readonly jobs: number
  readonly executions: number
}

/**
 * GoodJob deletes by active_job_id, which also deletes unfinished rows that have none. This statement deletes by id, so only
 * finished rows go. Cleanups of several processes, Ruby's too, meet on the same oldest rows, each in an order of its own. This one
 * waits for no row, so it is part of no deadlock. A job is deleted together with its last execution; rows that another session has
 * locked are left to that session.
 * $1 finished before timestamp · $2 includes discarded bool
 */
const DELETE_FINISHED_JOBS = `
WITH old AS MATERIALIZED (
  SELECT id FROM good_jobs
  WHERE finished_at IS NOT NULL AND finished_at <= $1 AND ($2::bool OR error IS NULL)
  ORDER BY finished_at
  LIMIT 1000
  FOR UPDATE SKIP LOCKED
),
attempt AS MATERIALIZED (
  SELECT attempts.id FROM good_job_executions AS attempts
  JOIN old ON attempts.active_job_id = old.id
  FOR UPDATE OF attempts SKIP LOCKED
),
held AS MATERIALIZED (
  SELECT attempts.active_job_id FROM good_job_executions AS attempts
  JOIN old ON attempts.active_job_id = old.id
  WHERE attempts.id NOT IN (SELECT id FROM attempt)
),
execution AS (
  DELETE FROM good_job_executions USING attempt WHERE good_job_executions.id = attempt.id
  RETURNING good_job_executions.id
),
job AS (
  DELETE FROM good_jobs USING old
  WHERE good_jobs.id = old.id AND old.id NOT IN (SELECT active_job_id FROM held)
  RETURNING good_jobs.id
)
SELECT (SELECT count(*) FROM job)::int AS jobs, (SELECT count(*) FROM execution)::int AS executions`

/** Deletes up to a thousand finished jobs, oldest first, with their executions. */
export const deleteFinishedJobs = async (
  db: Queryable,
  options: { readonly finishedBefore: string; readonly includesDiscarded: boolean },
): Promise<DeletedCounts> => {
  const rows = await rowsOf<DeletedCounts & Record<string, unknown>>(db, {
    text: DELETE_FINISHED_JOBS,
    values: [options.finishedBefore, options.includesDiscarded],
  })
  return rows[0] ?? { jobs: 0, executions: 0 }
}

const DELETE_STALE_CLAIMS = `
DELETE FROM good_job_concurrency_claims
WHERE id IN (
  SELECT claims.id FROM good_job_concurrency_claims AS claims
  WHERE NOT EXISTS (SELECT 1 FROM good_jobs WHERE good_jobs.id = claims.job_id AND finished_at IS NULL)
  FOR UPDATE OF claims SKIP LOCKED
)`

/** Deletes concurrency claims of finished or missing jobs; without the table there are none. */
export const deleteStaleClaims = (db: Queryable, facts: Facts): Promise<number> =>
  facts.hasConcurrencyClaims ? countOf(db, { text: DELETE_STALE_CLAIMS }) : Promise.resolve(0)

/** A batch with unfinished members is running, whatever its columns say. $1 finished before timestamp · $2 includes discarded bool */
const DELETE_FINISHED_BATCHES = `
DELETE FROM good_job_batches
WHERE id IN (
  SELECT id FROM good_job_batches
  WHERE finished_at IS NOT NULL AND finished_at <= $1 AND ($2::bool OR discarded_at IS NULL)
    AND NOT EXISTS (SELECT 1 FROM good_jobs WHERE batch_id = good_job_batches.id AND good_jobs.finished_at IS NULL)
  ORDER BY finished_at
  LIMIT 1000
  FOR UPDATE SKIP LOCKED
)`

/** Deletes up to a thousand finished batches; returns how many. */
export const deleteFinishedBatches = (
  db: Queryable,
  options: { readonly finishedBefore: string; readonly includesDiscarded: boolean },
): Promise<number> =>
  countOf(db, { text: DELETE_FINISHED_BATCHES, values: [options.finishedBefore, options.includesDiscarded] })
