UPDATE good_job_batches
SET updated_at = batch.now,
  description = batch.description, serialized_properties = batch.serialized_properties::jsonb, on_finish = batch.on_finish, on_success = batch.on_success, on_discard = batch.on_discard, callback_queue_name = batch.callback_queue_name, callback_priority = batch.callback_priority,
  enqueued_at = coalesce(batch.enqueued_at, good_job_batches.enqueued_at), finished_at = CASE WHEN batch.enqueued_at IS NULL THEN good_job_batches.finished_at END, jobs_finished_at = CASE WHEN batch.enqueued_at IS NULL THEN good_job_batches.jobs_finished_at END
FROM json_to_recordset($1::text::json) AS batch(id uuid, now timestamp, description text, serialized_properties text, on_finish text,
  on_success text, on_discard text, callback_queue_name text, callback_priority int, enqueued_at timestamp)
WHERE good_job_batches.id = batch.id
RETURNING good_job_batches.id::text, false AS is_new;
