WITH deleted AS (
  DELETE FROM good_jobs WHERE id = ANY ($1::uuid[]) RETURNING id
)
DELETE FROM good_job_executions USING deleted WHERE active_job_id = ANY (ARRAY[deleted.id]);
