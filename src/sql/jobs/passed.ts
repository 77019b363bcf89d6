import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'

/** Due jobs of a queue that a worker skipped: it started jobs of other classes that sort behind them. */
export interface PassedJobs {
  readonly queue_name: string
  readonly jobs: number
  readonly job_classes: readonly string[]
}

/**
 * For each queue: the last job, in order, that runs or ended within a minute, and the jobs that wait before it and whose class none
 * of the started jobs has. $1 now timestamp · $2 jobs to read in each queue
 */
const passedJobsText = (facts: Facts) => `
WITH started AS (
  (
    SELECT queue_name, job_class, priority, created_at
    FROM good_jobs
    WHERE finished_at IS NULL AND locked_by_id IS NOT NULL
    LIMIT 1000
  )
  UNION ALL
  (
    SELECT queue_name, job_class, priority, created_at
    FROM good_jobs
    WHERE finished_at > $1::${facts.timestampType} - interval '1 minute'
    ORDER BY finished_at DESC
    LIMIT 1000
  )
),
furthest AS (
  SELECT DISTINCT ON (queue_name) queue_name, priority, created_at
  FROM started
  WHERE priority IS NOT NULL
  ORDER BY queue_name, priority DESC, created_at DESC
)
SELECT furthest.queue_name, count(*)::int AS jobs, array_agg(DISTINCT job_class ORDER BY job_class) AS job_classes
FROM furthest
CROSS JOIN LATERAL (
  SELECT job_class
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL
    AND scheduled_at <= $1::${facts.timestampType}
    AND queue_name = furthest.queue_name
    AND (priority, created_at) < (furthest.priority, furthest.created_at)
    AND job_class <> ALL (SELECT job_class FROM started WHERE job_class IS NOT NULL)
  LIMIT $2
) AS passed
GROUP BY furthest.queue_name
ORDER BY furthest.queue_name`

/** Counts at most `limit` jobs of a queue. */
export const findPassedJobs = (db: Queryable, facts: Facts, now: string, limit: number): Promise<PassedJobs[]> =>
  rowsOf<PassedJobs & Record<string, unknown>>(db, { text: passedJobsText(facts), values: [now, limit] })
