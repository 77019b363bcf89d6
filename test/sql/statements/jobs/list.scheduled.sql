WITH found AS MATERIALIZED (
  SELECT id FROM (SELECT id FROM good_jobs WHERE finished_at IS NULL AND scheduled_at > $2) AS found LIMIT 10001
),
few AS (
  SELECT count(*) <= 10000 AS is_few FROM found
)
SELECT is_few, page.*
FROM few
LEFT JOIN LATERAL (
  SELECT id, created_at, job_class, queue_name, priority, executions_count, labels, batch_id, batch_callback_id, cron_key,
  concurrency_key, scheduled_at, performed_at, finished_at, locked_by_id, error, CASE
    WHEN finished_at IS NOT NULL AND btrim(coalesce(error, '')) <> '' THEN 'discarded'
    WHEN finished_at IS NOT NULL THEN 'succeeded'
    WHEN performed_at IS NOT NULL THEN 'running'
    WHEN coalesce(scheduled_at, created_at) <= $1 THEN 'queued'
    WHEN btrim(coalesce(error, '')) <> '' THEN 'retried'
    ELSE 'scheduled'
  END AS state
  FROM good_jobs
  WHERE is_few AND id = ANY (ARRAY(SELECT id FROM found)) AND ((finished_at IS NULL AND scheduled_at > $3 AND CASE WHEN serialized_params->>'executions' ~ '^[0-9]{1,9}$' THEN (serialized_params->>'executions')::int END < 2))
  ORDER BY created_at DESC, id DESC
  LIMIT $4
) AS page ON true
ORDER BY created_at DESC, id DESC;
