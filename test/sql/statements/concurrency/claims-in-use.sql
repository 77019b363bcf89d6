SELECT key, count(*) FILTER (WHERE state = 1)::int AS granted, count(*) FILTER (WHERE state = 0)::int AS waiting,
  count(*) FILTER (WHERE state IN (2, 3))::int AS promoted
FROM (SELECT key, state FROM good_job_concurrency_claims ORDER BY key, state, created_at LIMIT $1) AS claim
GROUP BY key
ORDER BY count(*) DESC, key
LIMIT $2;
