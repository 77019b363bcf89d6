SELECT id, job_class, locked_by_id, locked_at, EXISTS (
SELECT 1 FROM good_job_processes
WHERE (
  (lock_type IS NULL AND updated_at < (clock_timestamp() AT TIME ZONE 'UTC') - interval '5 minutes')
  OR (lock_type IS NOT DISTINCT FROM 0 AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1
      AND ((classid::bigint << 32) | objid::bigint) = ('x' || substr(md5('good_job_processes-' || good_job_processes.id::text), 1, 16))::bit(64)::bigint
  ))) IS NOT TRUE
GROUP BY state->>'hostname', state->>'pid'
HAVING count(*) > 1) AS has_renamed,
  extract(epoch FROM clock_timestamp())::float8 * 1000 AS at_ms
FROM good_jobs
WHERE 
  locked_by_id IS NOT NULL
  AND finished_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM good_job_processes WHERE good_job_processes.id = locked_by_id)
  AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = ('x' || substr(md5('good_jobs-' || good_jobs.id::text), 1, 16))::bit(64)::bigint
  ) AND (locked_at IS NULL)
LIMIT $1;
