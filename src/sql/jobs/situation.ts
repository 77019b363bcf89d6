import { jobLockKeySql } from '../advisory-lock.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { isAbandoned, renamedProcess } from './abandoned.ts'

/** A job with who holds it; times are ISO text. */
export interface JobSituation {
  readonly id: string
  readonly job_class: string | null
  readonly queue_name: string | null
  readonly priority: number | null
  readonly labels: readonly string[] | null
  readonly concurrency_key: string | null
  readonly created_at: string
  readonly scheduled_at: string | null
  readonly performed_at: string | null
  readonly finished_at: string | null
  readonly error: string | null
  readonly executions_count: number | null
  readonly locked_by_id: string | null
  readonly locked_at: string | null
  /** 0 advisory, 1 skiplocked, 2 hybrid; null before GoodJob 4.15. */
  readonly lock_type: number | null
  /** Locked by an owner without a process row, and no session holds the advisory lock. */
  readonly is_abandoned: boolean
  /** A live Ruby process before GoodJob 4.22.1 has lost its row and may be that owner. */
  readonly has_renamed: boolean
  /** The session that holds the advisory lock; null without one. */
  readonly holder_pid: number | null
  readonly holder_application: string | null
  readonly holder_address: string | null
  readonly holder_connected_at: string | null
  /** The clock of the server, milliseconds since 1970. */
  readonly now_ms: number
}

/** $1 job uuid */
const findJobSituationText = (facts: Facts): string => `
SELECT id, job_class, queue_name, priority, labels, concurrency_key, created_at, scheduled_at, performed_at, finished_at, error, executions_count,
  locked_by_id, locked_at, ${facts.hasLockType ? 'lock_type' : 'NULL::smallint AS lock_type'},
  (${isAbandoned}) AS is_abandoned,
  EXISTS (${renamedProcess(facts)}) AS has_renamed,
  holder.pid AS holder_pid, holder.application_name AS holder_application, host(holder.client_addr) AS holder_address,
  holder.backend_start AS holder_connected_at,
  extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms
FROM good_jobs
LEFT JOIN LATERAL (
  SELECT pg_locks.pid, application_name, client_addr, backend_start
  FROM pg_locks
  LEFT JOIN pg_stat_activity USING (pid)
  WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32) | objid::bigint = ${jobLockKeySql('good_jobs.id')}
  LIMIT 1
) AS holder ON true
WHERE good_jobs.id = $1`

/** One job with the session that holds its advisory lock, or undefined. */
export const findJobSituation = async (db: Queryable, facts: Facts, id: string): Promise<JobSituation | undefined> => {
  const statement = { text: findJobSituationText(facts), values: [id] }
  return (await rowsOf<JobSituation & Record<string, unknown>>(db, statement))[0]
}

/** Due jobs that workers start before another one. */
export interface JobsBefore {
  readonly jobs: number
  /** Further jobs were not read: there may be more. */
  readonly is_capped: boolean
}

type Place = Pick<JobSituation, 'queue_name' | 'priority' | 'created_at'>

/** In the order of claims: by priority, those without one last, then by creation. $1 now timestamp · $2 rows to read */
const countJobsBeforeText = ({ queue_name, priority, created_at }: Place, values: unknown[]): string => {
  const queue = queue_name === null ? 'queue_name IS NULL' : `queue_name = $${values.push(queue_name)}`
  const createdAt = `$${values.push(created_at)}`
  const isBefore =
    priority === null
      ? `(priority IS NOT NULL OR created_at < ${createdAt})`
      : `(priority, created_at) < ($${values.push(priority)}, ${createdAt})`
  return `
WITH before AS MATERIALIZED (
  SELECT scheduled_at
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL AND ${queue} AND ${isBefore}
  ORDER BY priority, created_at
  LIMIT $2
)
SELECT count(*) FILTER (WHERE scheduled_at <= $1)::int AS jobs, count(*) = $2 AS is_capped FROM before`
}

/** Due jobs of its queue that sort before a job, among the first `limit` of the queue. */
export const countJobsBefore = async (
  db: Queryable,
  job: Place,
  { now, limit }: { readonly now: string; readonly limit: number },
): Promise<JobsBefore> => {
  const values: unknown[] = [now, limit]
  const text = countJobsBeforeText(job, values)
  const [row] = await rowsOf<JobsBefore & Record<string, unknown>>(db, { text, values })
  return row ?? { jobs: 0, is_capped: false }
}
