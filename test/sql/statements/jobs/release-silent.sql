WITH silent AS MATERIALIZED (
  SELECT good_jobs.id
  FROM unnest($1::uuid[], $2::uuid[], $3::timestamp[]) AS seen(id, locked_by_id, locked_at)
  JOIN good_jobs ON good_jobs.id = seen.id
  WHERE good_jobs.locked_by_id = seen.locked_by_id
    AND good_jobs.locked_at IS NOT DISTINCT FROM seen.locked_at
    AND finished_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM good_job_processes WHERE good_job_processes.id = seen.locked_by_id)
    AND NOT EXISTS (
SELECT 1 FROM good_job_processes
WHERE (
  (lock_type IS NULL AND updated_at < (clock_timestamp() AT TIME ZONE 'UTC') - interval '5 minutes')
  OR (lock_type IS NOT DISTINCT FROM 0 AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1
      AND ((classid::bigint << 32) | objid::bigint) = ('x' || substr(md5('good_job_processes-' || good_job_processes.id::text), 1, 16))::bit(64)::bigint
  ))) IS NOT TRUE
GROUP BY state->>'hostname', state->>'pid'
HAVING count(*) > 1)
  FOR NO KEY UPDATE OF good_jobs SKIP LOCKED
),
free AS MATERIALIZED (
  SELECT id FROM silent WHERE pg_try_advisory_xact_lock(('x' || substr(md5('good_jobs-' || id::text), 1, 16))::bit(64)::bigint)
)
UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL FROM free WHERE good_jobs.id = free.id RETURNING good_jobs.id;
