SELECT id, created_at, job_class, queue_name, priority, executions_count, labels, batch_id, batch_callback_id, cron_key,
  concurrency_key, scheduled_at, performed_at, finished_at, locked_by_id, error, CASE
    WHEN finished_at IS NOT NULL AND btrim(coalesce(error, '')) <> '' THEN 'discarded'
    WHEN finished_at IS NOT NULL THEN 'succeeded'
    WHEN performed_at IS NOT NULL THEN 'running'
    WHEN coalesce(scheduled_at, created_at) <= $1 THEN 'queued'
    WHEN btrim(coalesce(error, '')) <> '' THEN 'retried'
    ELSE 'scheduled'
  END AS state, serialized_params, updated_at, locked_at, error_event, cron_at
FROM good_jobs WHERE id = $2;
