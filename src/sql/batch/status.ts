import { type Queryable, rowsOf } from '../connection/queryable.ts'
import { jobStateSql } from '../jobs/states.ts'

export interface StateCount {
  readonly state: string
  readonly jobs: number
}

/** $1 batch uuid · $2 now timestamp */
const COUNT_MEMBERS = `
SELECT ${jobStateSql('$2')} AS state, count(*)::int AS jobs FROM good_jobs WHERE batch_id = $1 GROUP BY 1 ORDER BY 1`

/** Members by state badge. */
export const countMembers = (db: Queryable, batchId: string, now: string): Promise<StateCount[]> =>
  rowsOf<StateCount & Record<string, unknown>>(db, { text: COUNT_MEMBERS, values: [batchId, now] })

export interface CallbackJob {
  readonly id: string
  readonly job_class: string | null
  readonly event: string | null
  readonly state: string
  readonly error: string | null
  readonly created_at: string
  readonly finished_at: string | null
}

/** $1 batch uuid · $2 now timestamp */
const FIND_CALLBACK_JOBS = `
SELECT id, job_class, serialized_params #>> '{arguments,1,event,value}' AS event, ${jobStateSql('$2')} AS state, error, created_at, finished_at
FROM good_jobs
WHERE batch_callback_id = $1
ORDER BY created_at, id`

export const findCallbackJobs = (db: Queryable, batchId: string, now: string): Promise<CallbackJob[]> =>
  rowsOf<CallbackJob & Record<string, unknown>>(db, { text: FIND_CALLBACK_JOBS, values: [batchId, now] })

export interface BrokenAttempt {
  readonly job_id: string
  readonly job_class: string | null
  readonly started_at: string
  readonly ended_at: string
  readonly error: string | null
  readonly error_backtrace: readonly string[] | null
}

/**
 * The attempts and manual discards that broke members, and the successes that recovered those members. The first hundred are enough
 * for a timeline. $1 batch uuid
 */
const FIND_BREAKING_ATTEMPTS = `
SELECT attempt.active_job_id AS job_id, attempt.job_class, attempt.created_at AS started_at, attempt.finished_at AS ended_at, attempt.error,
  attempt.error_backtrace
FROM good_jobs AS job
JOIN good_job_executions AS attempt ON attempt.active_job_id = job.id
WHERE job.batch_id = $1
  AND attempt.finished_at IS NOT NULL
  AND (
    (attempt.error IS NOT NULL AND coalesce(attempt.error_event, 1) <> 3)
    OR (attempt.error IS NULL AND EXISTS (
      SELECT 1 FROM good_job_executions AS earlier
      WHERE earlier.active_job_id = job.id AND earlier.created_at < attempt.created_at AND earlier.error IS NOT NULL
        AND coalesce(earlier.error_event, 1) <> 3))
  )
ORDER BY attempt.finished_at
LIMIT 100`

export const findBreakingAttempts = (db: Queryable, batchId: string): Promise<BrokenAttempt[]> =>
  rowsOf<BrokenAttempt & Record<string, unknown>>(db, { text: FIND_BREAKING_ATTEMPTS, values: [batchId] })
