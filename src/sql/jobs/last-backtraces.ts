import { type Queryable, rowsOf } from '../connection/queryable.ts'

/** $1 jobs uuid[] */
const FIND_LAST_BACKTRACES = `
SELECT job.id, failed.error_backtrace
FROM unnest($1::uuid[]) AS job(id)
CROSS JOIN LATERAL (
  SELECT error_backtrace FROM good_job_executions
  WHERE active_job_id = job.id AND error IS NOT NULL
  ORDER BY created_at DESC LIMIT 1
) AS failed`

/** The backtrace of each job's last failed attempt; good_jobs itself keeps only the text of the error. */
export const findLastBacktraces = async (
  db: Queryable,
  jobIds: readonly string[],
): Promise<ReadonlyMap<string, readonly string[] | null>> => {
  if (jobIds.length === 0) return new Map()
  const rows = await rowsOf<{ id: string; error_backtrace: readonly string[] | null }>(db, {
    text: FIND_LAST_BACKTRACES,
    values: [jobIds],
  })
  return new Map(rows.map((row) => [row.id, row.error_backtrace]))
}
