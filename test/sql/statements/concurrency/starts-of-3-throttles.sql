SELECT number, created_at
FROM (
  (SELECT 1 AS number, created_at FROM (
    SELECT good_job_executions.created_at
    FROM good_jobs
    JOIN good_job_executions ON good_job_executions.active_job_id = good_jobs.active_job_id
    WHERE labels @> ARRAY[$1::text]
      AND (good_jobs.finished_at > $2::timestamp OR (good_jobs.finished_at IS NULL AND executions_count > 0))
      AND good_job_executions.created_at > $2::timestamp
      AND good_job_executions.error IS DISTINCT FROM 'GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError: GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError'
  ) AS execution
  ORDER BY created_at DESC
  LIMIT $3::int)
  UNION ALL
  (SELECT 2 AS number, created_at FROM (
    SELECT good_job_executions.created_at
    FROM good_jobs
    JOIN good_job_executions ON good_job_executions.active_job_id = good_jobs.active_job_id
    WHERE concurrency_key = $4::text
      AND (good_jobs.finished_at > $5::timestamp OR (good_jobs.finished_at IS NULL AND executions_count > 0))
      AND good_job_executions.created_at > $5::timestamp
      AND good_job_executions.error IS DISTINCT FROM 'GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError: GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError'
  ) AS execution
  ORDER BY created_at DESC
  LIMIT $6::int)
  UNION ALL
  (SELECT 3 AS number, created_at FROM (
    SELECT good_job_executions.created_at
    FROM good_jobs
    JOIN good_job_executions ON good_job_executions.active_job_id = good_jobs.active_job_id
    WHERE true
      AND (good_jobs.finished_at > $7::timestamp OR (good_jobs.finished_at IS NULL AND executions_count > 0))
      AND good_job_executions.created_at > $7::timestamp
      AND good_job_executions.error IS DISTINCT FROM 'GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError: GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError'
  ) AS execution
  ORDER BY created_at DESC
  LIMIT $8::int)
) AS started
ORDER BY number, created_at DESC;
