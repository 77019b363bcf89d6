WITH outcome AS MATERIALIZED (
  SELECT *
  FROM unnest($1::uuid[], $2::uuid[], $3::timestamp[], $4::timestamp[], $5::float8[], $6::text[], $7::smallint[], $8::text[])
    AS outcome(id, execution_id, starts_at, finished_at, duration, error, error_event, backtrace)
),
finished AS (
  UPDATE good_jobs
  SET performed_at = outcome.starts_at,
      executions_count = least(coalesce(executions_count, 0), 2147483646) + 1,
      finished_at = outcome.finished_at,
      error = outcome.error,
      error_event = outcome.error_event,
      updated_at = $10::timestamp + (clock_timestamp() - statement_timestamp())
  FROM outcome
  WHERE good_jobs.id = ANY (ARRAY[outcome.id])
  RETURNING good_jobs.id, job_class, queue_name, serialized_params, coalesce(scheduled_at, created_at) AS scheduled_at, updated_at,
    outcome.execution_id, outcome.starts_at, outcome.finished_at, outcome.duration, outcome.error, outcome.error_event, outcome.backtrace
)
INSERT INTO good_job_executions
  (id, created_at, updated_at, active_job_id, job_class, queue_name, serialized_params, scheduled_at, process_id, finished_at,
    duration, error, error_event, error_backtrace)
SELECT execution_id, starts_at, finished_at + (updated_at - finished_at) / 2, id, job_class, queue_name, serialized_params, scheduled_at,
  $9::uuid, finished_at, make_interval(secs => duration), error, error_event,
  CASE WHEN backtrace IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(backtrace::jsonb)) END
FROM finished;
