SELECT id, job_class, locked_by_id, locked_at FROM good_jobs WHERE 
  locked_by_id IS NOT NULL
  AND finished_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM good_job_processes WHERE good_job_processes.id = locked_by_id)
  AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = ('x' || substr(md5('good_jobs-' || good_jobs.id::text), 1, 16))::bit(64)::bigint
  ) LIMIT $1;
