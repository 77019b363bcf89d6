WITH destroyed AS (
  DELETE FROM good_jobs WHERE id = ANY ($1::uuid[]) AND finished_at IS NOT NULL RETURNING id
),
execution AS (
  DELETE FROM good_job_executions USING destroyed WHERE active_job_id = destroyed.id
)
SELECT id FROM destroyed;
