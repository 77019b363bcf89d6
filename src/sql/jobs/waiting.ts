import { type Queryable, rowsOf } from '../connection/queryable.ts'

/** Due jobs of one queue and class that no process runs. */
export interface WaitingJobs {
  readonly queue_name: string | null
  readonly job_class: string | null
  /** Not more than the rows that were read. */
  readonly jobs: number
  readonly oldest_at: string
}

/** Jobs that no worker starts become the oldest of all due jobs, so the oldest are read. $1 now timestamp · $2 rows to read */
const WAITING_JOBS = `
WITH waiting AS MATERIALIZED (
  SELECT queue_name, job_class, scheduled_at
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL AND scheduled_at <= $1
  ORDER BY scheduled_at
  LIMIT $2
)
SELECT queue_name, job_class, count(*)::int AS jobs, min(scheduled_at) AS oldest_at
FROM waiting
GROUP BY queue_name, job_class
ORDER BY queue_name, job_class`

/** Due jobs that have not started, by queue and class, among the `limit` that have been due for longest. */
export const findWaitingJobs = (db: Queryable, now: string, limit: number): Promise<WaitingJobs[]> =>
  rowsOf<WaitingJobs & Record<string, unknown>>(db, { text: WAITING_JOBS, values: [now, limit] })
