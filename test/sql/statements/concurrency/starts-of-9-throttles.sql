SELECT throttle.number::int, started.created_at
FROM unnest($1::text[], $2::text[], $3::timestamp[], $4::int[]) WITH ORDINALITY AS throttle(kind, value, since, places, number)
CROSS JOIN LATERAL (
  SELECT created_at FROM (
    SELECT good_job_executions.created_at
    FROM good_jobs
    JOIN good_job_executions ON good_job_executions.active_job_id = good_jobs.active_job_id
    WHERE concurrency_key = throttle.value
      AND (good_jobs.finished_at > throttle.since OR (good_jobs.finished_at IS NULL AND executions_count > 0))
      AND good_job_executions.created_at > throttle.since
      AND good_job_executions.error IS DISTINCT FROM 'GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError: GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError'
      AND throttle.kind = 'key'
    UNION ALL
    SELECT good_job_executions.created_at
    FROM good_jobs
    JOIN good_job_executions ON good_job_executions.active_job_id = good_jobs.active_job_id
    WHERE labels @> ARRAY[throttle.value]
      AND (good_jobs.finished_at > throttle.since OR (good_jobs.finished_at IS NULL AND executions_count > 0))
      AND good_job_executions.created_at > throttle.since
      AND good_job_executions.error IS DISTINCT FROM 'GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError: GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError'
      AND throttle.kind = 'label'
    UNION ALL
    SELECT good_job_executions.created_at
    FROM good_jobs
    JOIN good_job_executions ON good_job_executions.active_job_id = good_jobs.active_job_id
    WHERE true
      AND (good_jobs.finished_at > throttle.since OR (good_jobs.finished_at IS NULL AND executions_count > 0))
      AND good_job_executions.created_at > throttle.since
      AND good_job_executions.error IS DISTINCT FROM 'GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError: GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError'
      AND throttle.kind = 'all'
  ) AS execution
  ORDER BY created_at DESC
  LIMIT throttle.places
) AS started
ORDER BY throttle.number, started.created_at DESC;
