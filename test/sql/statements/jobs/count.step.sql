WITH step AS MATERIALIZED (
  SELECT id, created_at, job_class, queue_name, labels, batch_id, scheduled_at, performed_at, finished_at, error, serialized_params
  FROM good_jobs
  
  ORDER BY created_at DESC, id DESC
  LIMIT 5000
),
last AS (
  SELECT created_at AS last_at, id AS last_id FROM step ORDER BY created_at ASC, id ASC LIMIT 1
)
SELECT last_at, last_id, (SELECT count(*)::int FROM step) AS seen, (SELECT count(*)::int FROM step WHERE ((finished_at IS NULL AND scheduled_at > $1 AND CASE WHEN serialized_params->>'executions' ~ '^[0-9]{1,9}$' THEN (serialized_params->>'executions')::int END < 2) OR (finished_at IS NULL AND scheduled_at > $2 AND CASE WHEN serialized_params->>'executions' ~ '^[0-9]{1,9}$' THEN (serialized_params->>'executions')::int END > 1) OR (performed_at IS NULL AND finished_at IS NULL AND scheduled_at <= $3) OR (performed_at IS NOT NULL AND finished_at IS NULL) OR (finished_at IS NOT NULL AND error IS NULL) OR (finished_at IS NOT NULL AND error IS NOT NULL))) AS jobs
FROM last;
