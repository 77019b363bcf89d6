WITH locked AS MATERIALIZED (
  SELECT good_jobs.id, performed_at, deferred.starts_at, deferred.execution_id
  FROM unnest($3::uuid[], $4::uuid[], $5::timestamp[]) AS deferred(id, execution_id, starts_at)
  JOIN good_jobs ON good_jobs.id = ANY (ARRAY[deferred.id])
  WHERE num_nulls(finished_at, locked_by_id) = 2
  FOR NO KEY UPDATE OF good_jobs SKIP LOCKED
),
started AS (
  UPDATE good_jobs
  SET locked_by_id = $2::uuid,
      locked_at = $1::timestamp,
      lock_type = 2,
      performed_at = locked.starts_at,
      executions_count = least(coalesce(executions_count, 0), 2147483646) + 1,
      error = CASE WHEN locked.performed_at IS NULL THEN error ELSE 'GoodJob::InterruptedError: Interrupted after starting perform at ''' || to_char(locked.performed_at, 'YYYY-MM-DD HH24:MI:SS') || ' UTC''' END,
      error_event = CASE WHEN locked.performed_at IS NULL THEN error_event ELSE 0 END,
      updated_at = greatest($1::timestamp + (clock_timestamp() - statement_timestamp()), locked.starts_at + interval '2 microseconds')
  FROM locked
  WHERE good_jobs.id = ANY (ARRAY[locked.id])
  RETURNING good_jobs.id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, cron_key, batch_id,
    batch_callback_id, scheduled_at, created_at, executions_count, locked.performed_at AS interrupted_at, locked.execution_id,
    good_jobs.performed_at, good_jobs.updated_at
),
interrupted AS (
  UPDATE good_job_executions
  SET error = 'GoodJob::InterruptedError: Interrupted after starting perform at ''' || to_char(locked.performed_at, 'YYYY-MM-DD HH24:MI:SS') || ' UTC''', error_event = 0, finished_at = locked.starts_at, duration = '0'
  FROM locked
  WHERE active_job_id = ANY (ARRAY[locked.id]) AND locked.performed_at IS NOT NULL AND finished_at IS NULL
),
execution AS (
  INSERT INTO good_job_executions
    (id, created_at, updated_at, active_job_id, job_class, queue_name, serialized_params, scheduled_at, process_id)
  SELECT execution_id, performed_at, performed_at + (updated_at - performed_at) / 2, id, job_class, queue_name, serialized_params, coalesce(scheduled_at, created_at), $2::uuid
  FROM started
),
granted AS (
  UPDATE good_job_concurrency_claims
  SET state = 1, locked_by_id = $2::uuid, updated_at = $1::timestamp
  FROM started
  WHERE (SELECT EXISTS (SELECT 1 FROM good_job_concurrency_claims)) AND good_job_concurrency_claims.job_id = ANY (ARRAY[started.id])
)
SELECT id FROM started;
