WITH claimed AS MATERIALIZED (
  SELECT id, locked_at, execution_id FROM unnest($1::uuid[], $2::timestamp[], $3::uuid[]) AS claimed(id, locked_at, execution_id)
),
released AS (
  UPDATE good_jobs
  SET locked_by_id = NULL, locked_at = NULL
  FROM claimed
  WHERE good_jobs.id = claimed.id AND good_jobs.locked_by_id = $4::uuid AND good_jobs.locked_at = claimed.locked_at
  RETURNING good_jobs.id, good_jobs.finished_at, good_jobs.error
),
closed AS (
  UPDATE good_job_executions
  SET finished_at = released.finished_at, error = released.error, error_event = 5,
      duration = greatest(released.finished_at - good_job_executions.created_at, interval '0'), updated_at = released.finished_at
  FROM released
  JOIN claimed ON claimed.id = released.id
  WHERE good_job_executions.id = claimed.execution_id
    AND good_job_executions.finished_at IS NULL
    AND released.finished_at IS NOT NULL
)
SELECT claimed.id, released.id IS NOT NULL AS is_released, good_jobs.id IS NULL AS is_gone,
  good_job_executions.finished_at AS execution_finished_at, good_jobs.batch_id
FROM claimed
LEFT JOIN good_jobs ON good_jobs.id = claimed.id
LEFT JOIN released ON released.id = claimed.id
LEFT JOIN good_job_executions ON good_job_executions.id = claimed.execution_id;
