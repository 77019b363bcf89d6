WITH dead AS MATERIALIZED (
  SELECT id FROM good_job_processes WHERE (
  (lock_type IS NULL AND updated_at < (clock_timestamp() AT TIME ZONE 'UTC') - interval '5 minutes')
  OR (lock_type IS NOT DISTINCT FROM 0 AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1
      AND ((classid::bigint << 32) | objid::bigint) = ('x' || substr(md5('good_job_processes-' || good_job_processes.id::text), 1, 16))::bit(64)::bigint
  ))) AND id <> $1::uuid FOR UPDATE SKIP LOCKED
),
free AS MATERIALIZED (
  SELECT good_jobs.id FROM good_jobs JOIN dead ON locked_by_id = dead.id FOR NO KEY UPDATE OF good_jobs SKIP LOCKED
),
released AS (
  UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL FROM free WHERE good_jobs.id = free.id RETURNING good_jobs.id
),
deleted AS (
  DELETE FROM good_job_processes
  USING dead
  WHERE good_job_processes.id = dead.id
    AND NOT EXISTS (SELECT 1 FROM good_jobs WHERE locked_by_id = dead.id AND good_jobs.id NOT IN (SELECT id FROM free))
  RETURNING good_job_processes.id
)
SELECT deleted.id, count.jobs FROM (SELECT count(*)::int AS jobs FROM released) AS count LEFT JOIN deleted ON true;
