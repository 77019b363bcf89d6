WITH released AS MATERIALIZED (
  SELECT count(*) FILTER (WHERE NOT pg_advisory_unlock(key))::int AS missing FROM unnest($6::bigint[]) AS key
),
candidate AS MATERIALIZED (
  SELECT id, performed_at, job_class, queue_name, priority, serialized_params, labels, concurrency_key, created_at, scheduled_at
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL
    AND scheduled_at <= $7::timestamp
    AND job_class = ANY ($8::text[])
    AND job_class <> ALL ($10::text[])
    AND ((job_class, concurrency_key) IN (SELECT * FROM unnest($11::text[], $12::text[]))) IS NOT TRUE
    AND (labels && $9::text[]
      AND EXISTS (SELECT FROM unnest(labels) AS own(label) WHERE (job_class, own.label) IN (SELECT * FROM unnest($13::text[], $14::text[])))) IS NOT TRUE
    AND id <> ALL ($15::uuid[])  
  ORDER BY good_jobs.priority ASC NULLS LAST, good_jobs.created_at ASC
  LIMIT 1000
  FOR NO KEY UPDATE SKIP LOCKED
),
taken AS MATERIALIZED (
  SELECT *, (job_class = ANY ($3::text[]) OR (concurrency_key = ANY ($4::text[]) OR labels && $5::text[]) IS TRUE) AS is_limited, $1::timestamp + (clock_timestamp() - statement_timestamp()) AS starts_at, gen_random_uuid() AS execution_id
  FROM candidate
  WHERE CASE WHEN id = ANY ($16::uuid[]) THEN false
    WHEN (job_class = ANY ($3::text[]) OR (concurrency_key = ANY ($4::text[]) OR labels && $5::text[]) IS TRUE) THEN CASE WHEN pg_try_advisory_lock(('x' || substr(md5('good_jobs-' || id::text), 1, 16))::bit(64)::bigint) THEN pg_advisory_unlock(('x' || substr(md5('good_jobs-' || id::text), 1, 16))::bit(64)::bigint) ELSE false END
    WHEN (SELECT EXISTS (SELECT 1 FROM good_job_concurrency_claims))
      AND (SELECT count(*) FROM (SELECT id FROM good_job_concurrency_claims WHERE job_id = ANY (ARRAY[candidate.id])) AS claim) <> (SELECT count(*) FROM (SELECT id FROM good_job_concurrency_claims WHERE job_id = ANY (ARRAY[candidate.id]) FOR UPDATE SKIP LOCKED) AS free) THEN false
    WHEN performed_at IS NOT NULL AND (
      SELECT count(*) FROM good_job_executions WHERE active_job_id = candidate.id AND finished_at IS NULL
    ) > (
      SELECT count(*) FROM (
        SELECT FROM good_job_executions WHERE active_job_id = candidate.id AND finished_at IS NULL FOR NO KEY UPDATE SKIP LOCKED
      ) AS free
    ) THEN false
    ELSE pg_try_advisory_lock(('x' || substr(md5('good_jobs-' || id::text), 1, 16))::bit(64)::bigint) END
  LIMIT $17::int
),
locked AS (
  SELECT id, performed_at, starts_at, execution_id FROM taken WHERE NOT is_limited
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
SELECT job.*, missing
FROM released
LEFT JOIN (
  SELECT started.id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, cron_key, batch_id,
  batch_callback_id, created_at, scheduled_at, executions_count, interrupted_at, execution_id, false AS is_limited
  FROM started
  UNION ALL
  SELECT limited.id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, NULL, NULL,
    NULL, created_at, scheduled_at, NULL, NULL, NULL, true
  FROM (SELECT id, job_class, queue_name, priority, CASE WHEN job_class = ANY ($18::text[]) THEN serialized_params END AS serialized_params, labels, concurrency_key, created_at, scheduled_at FROM taken WHERE is_limited) AS limited
) AS job ON true
ORDER BY job.priority ASC NULLS LAST, job.created_at ASC;
