WITH inserted AS (
INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at,
  labels, concurrency_key, cron_key, cron_at, batch_id, batch_callback_id)
VALUES ($1::uuid, $1::uuid, $2::text, $3::text, $4::int, $5::text::jsonb, $6::timestamp, $7::timestamp,
  $7::timestamp + (clock_timestamp() - statement_timestamp()), $8::text[], $9::text, $10::text, $11::timestamp, $12::uuid, $13::uuid)
ON CONFLICT DO NOTHING
RETURNING pg_current_xact_id()::text AS transaction)
SELECT transaction, pg_notify('good_job', $14::text)::text AS message FROM inserted;
