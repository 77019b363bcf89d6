SELECT attempt.active_job_id AS job_id, attempt.job_class, attempt.created_at AS started_at, attempt.finished_at AS ended_at, attempt.error,
  attempt.error_backtrace
FROM good_jobs AS job
JOIN good_job_executions AS attempt ON attempt.active_job_id = job.id
WHERE job.batch_id = $1
  AND attempt.finished_at IS NOT NULL
  AND (
    (attempt.error IS NOT NULL AND coalesce(attempt.error_event, 1) <> 3)
    OR (attempt.error IS NULL AND EXISTS (
      SELECT 1 FROM good_job_executions AS earlier
      WHERE earlier.active_job_id = job.id AND earlier.created_at < attempt.created_at AND earlier.error IS NOT NULL
        AND coalesce(earlier.error_event, 1) <> 3))
  )
ORDER BY attempt.finished_at
LIMIT 100;
