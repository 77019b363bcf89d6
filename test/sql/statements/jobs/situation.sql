SELECT id, job_class, queue_name, priority, labels, concurrency_key, created_at, scheduled_at, performed_at, finished_at, error, executions_count,
  locked_by_id, locked_at, lock_type,
  (
  locked_by_id IS NOT NULL
  AND finished_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM good_job_processes WHERE good_job_processes.id = locked_by_id)
  AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = ('x' || substr(md5('good_jobs-' || good_jobs.id::text), 1, 16))::bit(64)::bigint
  )) AS is_abandoned,
  EXISTS (
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
    AND (classid::bigint << 32) | objid::bigint = ('x' || substr(md5('good_jobs-' || good_jobs.id::text), 1, 16))::bit(64)::bigint
  LIMIT 1
) AS holder ON true
WHERE good_jobs.id = $1;
