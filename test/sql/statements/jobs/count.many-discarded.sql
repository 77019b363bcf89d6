WITH found AS MATERIALIZED (
  SELECT id FROM (SELECT id FROM good_jobs WHERE finished_at IS NOT NULL AND error IS NOT NULL) AS found LIMIT 10001
),
few AS (
  SELECT count(*) <= 10000 AS is_few FROM found
)
SELECT is_few, (
  SELECT count(*)::int FROM good_jobs
  WHERE is_few AND id = ANY (ARRAY(SELECT id FROM found)) AND ((finished_at IS NOT NULL AND error IS NOT NULL))
) AS jobs
FROM few;

WITH step AS MATERIALIZED (
  SELECT id, created_at, job_class, queue_name, labels, batch_id, scheduled_at, performed_at, finished_at, error, serialized_params
  FROM good_jobs
  WHERE finished_at IS NOT NULL AND error IS NOT NULL
  ORDER BY finished_at DESC, id DESC
  LIMIT 5000
),
last AS (
  SELECT finished_at AS last_at, id AS last_id FROM step ORDER BY finished_at ASC, id ASC LIMIT 1
)
SELECT last_at, last_id, (SELECT count(*)::int FROM step) AS seen, (SELECT count(*)::int FROM step WHERE ((finished_at IS NOT NULL AND error IS NOT NULL))) AS jobs
FROM last;
