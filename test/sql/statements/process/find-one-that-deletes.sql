SELECT id::text, state->>'hostname' AS hostname, state->>'pid' AS pid
FROM good_job_processes
WHERE NOT (
  (lock_type IS NULL AND updated_at < (clock_timestamp() AT TIME ZONE 'UTC') - interval '5 minutes')
  OR (lock_type IS NOT DISTINCT FROM 0 AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1
      AND ((classid::bigint << 32) | objid::bigint) = ('x' || substr(md5('good_job_processes-' || good_job_processes.id::text), 1, 16))::bit(64)::bigint
  )))
  AND coalesce(state->>'preserve_job_records', 'true') <> 'true'
LIMIT 1;
