SELECT id, created_at, updated_at, (
  (lock_type IS NULL AND updated_at < (clock_timestamp() AT TIME ZONE 'UTC') - interval '5 minutes')
  OR (lock_type IS NOT DISTINCT FROM 0 AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1
      AND ((classid::bigint << 32) | objid::bigint) = ('x' || substr(md5('good_job_processes-' || good_job_processes.id::text), 1, 16))::bit(64)::bigint
  ))) IS NOT TRUE AS is_alive,
  lock_type IS DISTINCT FROM 0 AND updated_at < (clock_timestamp() AT TIME ZONE 'UTC') - interval '2 minutes' AS is_silent,
  coalesce(state, '{}'::jsonb)::text AS state,
  (SELECT count(*)::int FROM good_jobs WHERE locked_by_id = good_job_processes.id AND finished_at IS NULL) AS running_jobs
FROM good_job_processes
WHERE id = $1;
