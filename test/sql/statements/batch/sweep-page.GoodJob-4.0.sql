WITH page AS MATERIALIZED (
  SELECT batch.*
  FROM good_job_batches AS batch
  WHERE batch.created_at > $1::timestamp
    AND (batch.created_at, batch.id) < ($2::timestamp, $3::uuid)
  ORDER BY batch.created_at DESC, batch.id DESC
  LIMIT 5000
),
last AS (
  SELECT created_at, id FROM page ORDER BY created_at ASC, id ASC LIMIT 1
),
suspect AS MATERIALIZED (
  SELECT batch.*
  FROM page AS batch
  WHERE (batch.discarded_at IS NOT NULL AND batch.finished_at IS NOT NULL)
    OR (batch.enqueued_at IS NOT NULL AND batch.finished_at IS NULL AND batch.updated_at < $4::timestamp)
    
    OR (batch.finished_at >= $5::timestamp AND batch.on_success IS NOT NULL)
)
SELECT state.*, last.created_at AS page_created_at, last.id AS page_id,
  CASE WHEN state.jobs_ended_at IS NOT NULL AND (state.discarded_at IS NOT NULL OR state.broken_at IS NOT NULL)
    THEN EXISTS (
    SELECT 1 FROM good_jobs AS callback
    WHERE callback.batch_callback_id = state.id
      AND callback.serialized_params #>> '{arguments,1,event,value}' = 'success'
      AND least(callback.created_at,
        (SELECT min(attempt.created_at) FROM good_job_executions AS attempt WHERE attempt.active_job_id = callback.id))
        >= greatest(state.jobs_ended_at - interval '1 second', least(state.enqueued_at, state.jobs_ended_at))
  )
    ELSE false
  END AS has_false_success
FROM last
LEFT JOIN (
  SELECT 
  batch.id, batch.created_at, batch.description, batch.enqueued_at, batch.discarded_at,
  NULL::timestamp AS jobs_finished_at, batch.finished_at,
  batch.on_discard, batch.on_success, batch.on_finish, batch.callback_queue_name, batch.callback_priority,
  member.is_open AS has_open_member,
  CASE WHEN NOT member.is_open THEN (
    SELECT max(good_jobs.finished_at) FROM good_jobs WHERE batch_id = batch.id AND good_jobs.finished_at IS NOT NULL AND error IS NOT NULL
  ) END AS broken_at,
  EXISTS (SELECT 1 FROM good_jobs WHERE batch_callback_id = batch.id AND finished_at IS NULL) AS has_open_callback, batch.finished_at AS jobs_ended_at, CASE WHEN member.is_open THEN false ELSE NOT EXISTS (
    SELECT 1 FROM good_jobs WHERE batch_id = batch.id AND finished_at >= $4::timestamp
  ) END AS is_quiet
  FROM suspect AS batch
  
CROSS JOIN LATERAL (
  SELECT EXISTS (SELECT 1 FROM good_jobs WHERE batch_id = batch.id AND finished_at IS NULL) AS is_open
) AS member
) AS state ON true;
