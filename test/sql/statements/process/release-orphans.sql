WITH orphan AS MATERIALIZED (
  SELECT id FROM good_jobs
  WHERE locked_by_id IS NOT NULL
    AND finished_at IS NULL
    AND locked_at < $1
    AND lock_type IS DISTINCT FROM 1
    AND NOT EXISTS (SELECT 1 FROM good_job_processes WHERE good_job_processes.id = locked_by_id)
  FOR NO KEY UPDATE SKIP LOCKED
),
free AS MATERIALIZED (
  SELECT id FROM orphan WHERE pg_try_advisory_xact_lock(('x' || substr(md5('good_jobs-' || id::text), 1, 16))::bit(64)::bigint)
)
UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL FROM free WHERE good_jobs.id = free.id;
