SELECT claimed.key
FROM (SELECT DISTINCT key FROM good_job_concurrency_claims WHERE key LIKE 'key:%' ORDER BY key LIMIT 100) AS claimed
WHERE (
  SELECT count(*) FROM (
    SELECT FROM good_jobs WHERE concurrency_key = substr(claimed.key, 5) AND finished_at IS NULL LIMIT $1
  ) AS job
) = $1
ORDER BY claimed.key
LIMIT 3;
