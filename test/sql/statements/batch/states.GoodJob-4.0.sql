SELECT row_to_json(state)::text AS state
FROM (
  SELECT 
  batch.id, batch.created_at, batch.description, batch.enqueued_at, batch.discarded_at,
  NULL::timestamp AS jobs_finished_at, batch.finished_at,
  batch.on_discard, batch.on_success, batch.on_finish, batch.callback_queue_name, batch.callback_priority,
  member.is_open AS has_open_member,
  CASE WHEN NOT member.is_open THEN (
    SELECT max(good_jobs.finished_at) FROM good_jobs WHERE batch_id = batch.id AND good_jobs.finished_at IS NOT NULL AND error IS NOT NULL
  ) END AS broken_at,
  EXISTS (SELECT 1 FROM good_jobs WHERE batch_callback_id = batch.id AND finished_at IS NULL) AS has_open_callback
  FROM good_job_batches AS batch
  
CROSS JOIN LATERAL (
  SELECT EXISTS (SELECT 1 FROM good_jobs WHERE batch_id = batch.id AND finished_at IS NULL) AS is_open
) AS member
  WHERE batch.id = ANY ($1::uuid[])
) AS state;
