SELECT id, job_class, serialized_params #>> '{arguments,1,event,value}' AS event, CASE
    WHEN finished_at IS NOT NULL AND btrim(coalesce(error, '')) <> '' THEN 'discarded'
    WHEN finished_at IS NOT NULL THEN 'succeeded'
    WHEN performed_at IS NOT NULL THEN 'running'
    WHEN coalesce(scheduled_at, created_at) <= $2 THEN 'queued'
    WHEN btrim(coalesce(error, '')) <> '' THEN 'retried'
    ELSE 'scheduled'
  END AS state, error, created_at, finished_at
FROM good_jobs
WHERE batch_callback_id = $1
ORDER BY created_at, id;
