WITH job AS MATERIALIZED (
  SELECT id, job_class, batch_id, batch_callback_id, finished_at, error
  FROM good_jobs
  WHERE id = ANY ($1::uuid[])
  ORDER BY id
  FOR NO KEY UPDATE
)
SELECT job.*, pg_try_advisory_xact_lock(('x' || substr(md5('good_jobs-' || job.id::text), 1, 16))::bit(64)::bigint) AS is_lock_free FROM job;
