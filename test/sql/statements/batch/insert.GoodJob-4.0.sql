INSERT INTO good_job_batches (id, created_at, updated_at, description, serialized_properties, on_finish, on_success, on_discard, callback_queue_name, callback_priority, enqueued_at)
SELECT id, now, now, description, serialized_properties::jsonb, on_finish, on_success, on_discard, callback_queue_name, callback_priority, enqueued_at
FROM json_to_recordset($1::text::json) AS batch(id uuid, now timestamp, description text, serialized_properties text, on_finish text,
  on_success text, on_discard text, callback_queue_name text, callback_priority int, enqueued_at timestamp)
ON CONFLICT (id) DO UPDATE
SET updated_at = excluded.updated_at,
  description = excluded.description, serialized_properties = excluded.serialized_properties, on_finish = excluded.on_finish, on_success = excluded.on_success, on_discard = excluded.on_discard, callback_queue_name = excluded.callback_queue_name, callback_priority = excluded.callback_priority,
  enqueued_at = coalesce(excluded.enqueued_at, good_job_batches.enqueued_at), finished_at = CASE WHEN excluded.enqueued_at IS NULL THEN good_job_batches.finished_at END
RETURNING id::text, (xmax = 0) AS is_new;
