WITH waiting AS (
  UPDATE good_jobs
  SET serialized_params = CASE WHEN jsonb_typeof(serialized_params) = 'object'
        THEN serialized_params || $3::jsonb || jsonb_build_object(
          'executions', coalesce(CASE WHEN serialized_params->>'executions' ~ '^[0-9]{1,9}$' THEN (serialized_params->>'executions')::int END, 0) + 1,
          'provider_job_id', id::text)
        ELSE serialized_params
      END,
      queue_name = coalesce(nullif(serialized_params->>'queue_name', ''), 'default'),
      priority = CASE
        WHEN coalesce(serialized_params->>'priority', '') !~ '^\s*[-+]?[0-9]' THEN 0
        WHEN serialized_params->>'priority' ~ '^\s*[-+]?0*[0-9]{1,9}(?![0-9])' THEN substring(serialized_params->>'priority' FROM '^\s*([-+]?[0-9]+)')::int
        ELSE coalesce(priority, 0)
      END,
      scheduled_at = $5::timestamp,
      created_at = $2::timestamp,
      performed_at = NULL,
      finished_at = NULL,
      error_event = 3,
      updated_at = $2::timestamp + (clock_timestamp() - statement_timestamp())
  WHERE id = ANY ($1::uuid[]) AND finished_at IS NOT NULL AND error IS NOT NULL
  RETURNING id, queue_name, scheduled_at
),
notified AS MATERIALIZED (
  SELECT pg_notify('good_job',
    json_build_object('queue_name', queue_name, 'scheduled_at', to_char(scheduled_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))::text)
  FROM waiting
  WHERE $4::bool
)
SELECT id, (SELECT count(*) FROM notified)::int AS messages FROM waiting;
