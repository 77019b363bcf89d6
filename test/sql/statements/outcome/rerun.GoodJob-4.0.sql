WITH outcome AS MATERIALIZED (
  SELECT *
  FROM unnest($1::uuid[], $2::timestamp[], $3::uuid[], $4::timestamp[], $5::float8[], $6::text[], $7::smallint[], $8::text[])
    AS outcome(id, locked_at, execution_id, finished_at, duration, error, error_event, backtrace)
),
waiting AS (
  UPDATE good_jobs
  SET performed_at = NULL, error = outcome.error, error_event = outcome.error_event, locked_by_id = NULL, locked_at = NULL, updated_at = $10::timestamp + (clock_timestamp() - statement_timestamp())
  FROM outcome
  WHERE good_jobs.id = ANY (ARRAY[outcome.id])
    AND good_jobs.locked_by_id IS NOT DISTINCT FROM $9::uuid
    AND good_jobs.locked_at = outcome.locked_at
    AND num_nulls(good_jobs.finished_at) = 1
  RETURNING good_jobs.id, good_jobs.batch_id, good_jobs.labels, good_jobs.concurrency_key, good_jobs.updated_at, outcome.execution_id, outcome.finished_at, outcome.duration, outcome.error, outcome.error_event, outcome.backtrace
),
closed AS (
  UPDATE good_job_executions
  SET finished_at = waiting.finished_at,
      duration = make_interval(secs => waiting.duration),
      error = waiting.error,
      error_event = waiting.error_event,
      error_backtrace = CASE WHEN waiting.backtrace IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(waiting.backtrace::jsonb)) END,
      updated_at = waiting.finished_at + (waiting.updated_at - waiting.finished_at) / 2
  FROM waiting
  WHERE good_job_executions.id = ANY (ARRAY[waiting.execution_id])
)
SELECT id, batch_id, false AS frees_place FROM waiting;
