WITH job AS MATERIALIZED (
  SELECT *
  FROM ROWS FROM (
    unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $6::timestamp[], $7::timestamp[], $8::text[], $9::text[],
      $10::text[], $11::timestamp[], $12::uuid[], $13::uuid[], $14::bool[]),
    json_array_elements($5::text::json)
  ) AS job(id, job_class, queue_name, priority, scheduled_at, created_at, labels, concurrency_key, cron_key, cron_at, batch_id,
    batch_callback_id, is_notified, serialized_params)
),
inserted AS (
  INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at,
    labels, concurrency_key, cron_key, cron_at, batch_id, batch_callback_id)
  SELECT id, id, job_class, queue_name, priority, serialized_params::jsonb, scheduled_at, created_at,
    CASE WHEN $15::bool THEN created_at ELSE created_at + (clock_timestamp() - statement_timestamp()) END,
    CASE WHEN labels IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(labels::jsonb)) END,
    concurrency_key, cron_key, cron_at, batch_id, batch_callback_id
  FROM job
  ON CONFLICT DO NOTHING
  RETURNING id, queue_name, scheduled_at
),
message AS (
  SELECT inserted.queue_name, count(DISTINCT inserted.id) AS jobs,
    to_char(inserted.scheduled_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS starts_at
  FROM inserted
  JOIN job ON job.id = inserted.id
  WHERE is_notified
  GROUP BY inserted.queue_name, starts_at
),
notified AS MATERIALIZED (
  SELECT pg_notify('good_job', CASE WHEN $15::bool
    THEN json_build_object('queue_name', queue_name, 'count', jobs, 'scheduled_at', starts_at)
    ELSE json_build_object('queue_name', queue_name, 'scheduled_at', starts_at) END::text)
  FROM message
)
SELECT string_agg(id::text, ',') AS ids, (SELECT count(*) FROM notified)::int AS messages, pg_current_xact_id()::text AS transaction FROM inserted;
