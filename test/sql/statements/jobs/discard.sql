WITH discarded AS (
  UPDATE good_jobs
  SET finished_at = $2::timestamp, error = $3, error_event = 5, updated_at = $2::timestamp + (clock_timestamp() - statement_timestamp())
  WHERE id = ANY ($1::uuid[]) AND finished_at IS NULL
  RETURNING id
),
closed AS (
  UPDATE good_job_executions
  SET finished_at = $2::timestamp, error = $3, error_event = 5,
      duration = greatest($2::timestamp - created_at, interval '0'),
      updated_at = $2::timestamp + (clock_timestamp() - statement_timestamp())
  FROM discarded
  WHERE active_job_id = discarded.id AND good_job_executions.finished_at IS NULL
)
SELECT id FROM discarded;
