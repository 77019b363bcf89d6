WITH found AS MATERIALIZED (
  SELECT id FROM (SELECT id FROM good_jobs WHERE finished_at IS NOT NULL AND error IS NOT NULL) AS found LIMIT 10001
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
  WHERE is_few AND id = ANY (ARRAY(SELECT id FROM found)) AND ((finished_at IS NOT NULL AND error IS NOT NULL))
  ORDER BY finished_at DESC, id DESC
  LIMIT $2
) AS page ON true
ORDER BY finished_at DESC, id DESC;

WITH step AS MATERIALIZED (
  SELECT id, created_at, job_class, queue_name, priority, executions_count, labels, batch_id, batch_callback_id, cron_key,
  concurrency_key, scheduled_at, performed_at, finished_at, locked_by_id, error, serialized_params
  FROM good_jobs
  WHERE finished_at IS NOT NULL AND error IS NOT NULL
  ORDER BY finished_at DESC, id DESC
  LIMIT 5000
),
last AS (
  SELECT finished_at AS last_at, id AS last_id FROM step ORDER BY finished_at ASC, id ASC LIMIT 1
)
SELECT last.last_at, last.last_id, (SELECT count(*)::int FROM step) AS seen, page.*
FROM last
LEFT JOIN (
  SELECT id, created_at, job_class, queue_name, priority, executions_count, labels, batch_id, batch_callback_id, cron_key,
  concurrency_key, scheduled_at, performed_at, finished_at, locked_by_id, error, CASE
    WHEN finished_at IS NOT NULL AND btrim(coalesce(error, '')) <> '' THEN 'discarded'
    WHEN finished_at IS NOT NULL THEN 'succeeded'
    WHEN performed_at IS NOT NULL THEN 'running'
    WHEN coalesce(scheduled_at, created_at) <= $1 THEN 'queued'
    WHEN btrim(coalesce(error, '')) <> '' THEN 'retried'
    ELSE 'scheduled'
  END AS state FROM step WHERE ((finished_at IS NOT NULL AND error IS NOT NULL))
) AS page ON true
ORDER BY page.finished_at DESC, page.id DESC;
