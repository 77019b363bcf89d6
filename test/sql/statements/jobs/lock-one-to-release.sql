WITH job AS MATERIALIZED (
  SELECT id, finished_at, locked_by_id FROM good_jobs WHERE id = $1 FOR NO KEY UPDATE
)
SELECT job.finished_at, job.locked_by_id, pg_try_advisory_xact_lock(('x' || substr(md5('good_jobs-' || job.id::text), 1, 16))::bit(64)::bigint) AS is_lock_free,
  CASE WHEN good_job_processes.id IS NOT NULL
    THEN coalesce(good_job_processes.state->>'hostname', 'unknown host') || ':' || coalesce(good_job_processes.state->>'pid', '?') END AS owner
FROM job LEFT JOIN good_job_processes ON good_job_processes.id = job.locked_by_id;
