import type { Pool } from 'pg'

/** Whether every due job of a batch, or only the job given, has ended and so has the bookkeeping of its attempts. */
export const isQuiet = async (pool: Pool, batchId: string, jobId: string | null): Promise<boolean> => {
  const { rows } = await pool.query<Counts>(SELECT_UNSETTLED, [batchId, jobId])
  const [counts] = rows
  return counts?.open === 0 && counts.locked === 0 && counts.ended >= counts.attempts
}

interface Counts {
  readonly open: number
  readonly locked: number
  readonly attempts: number
  readonly ended: number
}

/**
 * $1 batch · $2 one job of it, or null for all. Counts jobs that still have to run or that a session still has locked, attempts of live
 * Ruby workers, and those of them that have ended together with their bookkeeping. Node does its bookkeeping in the transaction of the
 * outcome, so there is nothing to wait for. A Ruby attempt may still run for a job that was force-discarded.
 */
const SELECT_UNSETTLED = `
  WITH own AS (
    SELECT id, finished_at, performed_at, scheduled_at FROM good_jobs
    WHERE (batch_id = $1 OR batch_callback_id = $1) AND ($2::uuid IS NULL OR id = $2)
  ),
  worker AS (
    SELECT good_job_processes.id, state ->> 'pid' AS pid
    FROM good_job_processes
    WHERE EXISTS (SELECT FROM compat_events WHERE name = 'worker_listening' AND payload ->> 'pid' = state ->> 'pid')
    AND NOT EXISTS (SELECT FROM compat_events WHERE name = 'worker_killed' AND payload ->> 'pid' = state ->> 'pid')
  )
  SELECT
    (
      SELECT count(*)::integer FROM own
      WHERE finished_at IS NULL
      AND (performed_at IS NOT NULL OR scheduled_at < clock_timestamp() AT TIME ZONE 'UTC' + interval '1 minute')
    ) AS open,
    (
      SELECT count(*)::integer FROM pg_locks
      JOIN own ON ('x' || substr(md5('good_jobs-' || own.id), 1, 16))::bit(64)::bigint
        = (pg_locks.classid::bigint << 32) | pg_locks.objid::bigint
      WHERE locktype = 'advisory' AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) AS locked,
    (
      SELECT count(*)::integer FROM good_job_executions AS execution
      JOIN own ON own.id = execution.active_job_id
      JOIN worker ON worker.id = execution.process_id
    ) AS attempts,
    (
      SELECT count(*)::integer FROM compat_events
      JOIN own ON own.id::text = payload ->> 'job_id'
      JOIN worker ON worker.pid = payload ->> 'pid'
      WHERE name = 'task_finished'
    ) AS ended`
