SELECT job.id, failed.error_backtrace
FROM unnest($1::uuid[]) AS job(id)
CROSS JOIN LATERAL (
  SELECT error_backtrace FROM good_job_executions
  WHERE active_job_id = job.id AND error IS NOT NULL
  ORDER BY created_at DESC LIMIT 1
) AS failed;
