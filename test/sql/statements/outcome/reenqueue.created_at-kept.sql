WITH outcome AS MATERIALIZED (
  SELECT *
  FROM unnest($1::uuid[], $2::timestamp[], $3::uuid[], $4::timestamp[], $5::float8[], $6::text[], $7::smallint[], $8::text[], $11::text[], $12::text[], $13::text[], $14::int[], $15::timestamp[], $16::timestamp[], $17::text[], $18::bool[])
    AS outcome(id, locked_at, execution_id, finished_at, duration, error, error_event, backtrace, serialized_params, job_class, queue_name, priority, scheduled_at, created_at, labels, is_notified)
),
waiting AS (
  UPDATE good_jobs
  SET serialized_params = outcome.serialized_params::jsonb,
      job_class = outcome.job_class,
      queue_name = outcome.queue_name,
      priority = outcome.priority,
      scheduled_at = outcome.scheduled_at,
      labels = CASE WHEN outcome.labels IS NULL THEN good_jobs.labels ELSE ARRAY(SELECT jsonb_array_elements_text(outcome.labels::jsonb)) END,
      
      performed_at = NULL, error = outcome.error, error_event = outcome.error_event, locked_by_id = NULL, locked_at = NULL, lock_type = NULL, updated_at = $10::timestamp + (clock_timestamp() - statement_timestamp())
  FROM outcome
  WHERE good_jobs.id = ANY (ARRAY[outcome.id])
    AND good_jobs.locked_by_id IS NOT DISTINCT FROM $9::uuid
    AND good_jobs.locked_at = outcome.locked_at
    AND num_nulls(good_jobs.finished_at) = 1
  RETURNING good_jobs.id, good_jobs.batch_id, good_jobs.labels, good_jobs.concurrency_key, good_jobs.updated_at, outcome.execution_id, outcome.finished_at, outcome.duration, outcome.error, outcome.error_event, outcome.backtrace, outcome.queue_name, outcome.scheduled_at, outcome.is_notified
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
),
notified AS MATERIALIZED (
  SELECT pg_notify('good_job',
    json_build_object('queue_name', queue_name, 'scheduled_at', to_char(scheduled_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))::text)
  FROM waiting
  WHERE is_notified
)
SELECT id, batch_id, CASE WHEN (SELECT EXISTS (SELECT 1 FROM good_job_concurrency_claims)) THEN EXISTS (SELECT id FROM good_job_concurrency_claims WHERE job_id = ANY (ARRAY[waiting.id])) OR EXISTS (
    SELECT 1 FROM good_job_concurrency_claims
    WHERE state = 0
      AND key = ANY (ARRAY['all', 'key:' || waiting.concurrency_key] || ARRAY(SELECT 'label:' || btrim(label) FROM unnest(waiting.labels) AS label))
  ) ELSE false END AS frees_place, (SELECT count(*) FROM notified)::int AS messages FROM waiting;
