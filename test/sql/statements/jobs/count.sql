WITH found AS MATERIALIZED (
  SELECT id FROM (SELECT id FROM good_jobs WHERE job_class = $1) AS found LIMIT 10001
),
few AS (
  SELECT count(*) <= 10000 AS is_few FROM found
)
SELECT is_few, (
  SELECT count(*)::int FROM good_jobs
  WHERE is_few AND id = ANY (ARRAY(SELECT id FROM found)) AND ((performed_at IS NULL AND finished_at IS NULL AND scheduled_at <= $2)) AND job_class = $3
) AS jobs
FROM few;
