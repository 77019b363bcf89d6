WITH free AS MATERIALIZED (SELECT id FROM good_jobs WHERE id = ANY ($1::uuid[]) FOR UPDATE SKIP LOCKED),
free_attempt AS MATERIALIZED (
  SELECT id FROM good_job_executions WHERE id = ANY ($2::uuid[]) OR active_job_id = ANY ($3::uuid[]) FOR UPDATE SKIP LOCKED
),
locked_attempt AS MATERIALIZED (
  SELECT active_job_id
  FROM good_job_executions AS attempt
  WHERE (id = ANY ($2::uuid[]) OR active_job_id = ANY ($3::uuid[])) AND NOT EXISTS (SELECT 1 FROM free_attempt WHERE free_attempt.id = attempt.id)
)
SELECT id, batch_id, batch_callback_id,
  NOT EXISTS (SELECT 1 FROM free WHERE free.id = good_jobs.id)
    OR EXISTS (SELECT 1 FROM locked_attempt WHERE active_job_id = good_jobs.id) AS is_locked
FROM good_jobs
WHERE id = ANY ($1::uuid[]);
