SELECT key, created_at FROM good_job_concurrency_claims WHERE job_id = ANY (ARRAY[$1::uuid]) AND state = 0 ORDER BY created_at, key;
