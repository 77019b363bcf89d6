SELECT id, created_at, updated_at, description, serialized_properties, on_finish, on_success, on_discard, callback_queue_name,
  callback_priority, enqueued_at, discarded_at, finished_at, jobs_finished_at FROM good_job_batches WHERE id = ANY ($1::uuid[]);
