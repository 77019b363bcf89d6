SELECT job_id, CASE state WHEN 0 THEN 'waiting' ELSE 'promoted' END AS state, created_at
FROM good_job_concurrency_claims
WHERE key = $1 AND state <> 1
ORDER BY created_at, job_id
LIMIT $2;
