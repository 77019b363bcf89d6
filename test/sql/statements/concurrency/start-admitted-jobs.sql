PREPARE start_admitted_executed AS 
WITH candidate AS MATERIALIZED (
  SELECT good_jobs.id, performed_at
  FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[]) AS wanted(id, queue, key, label_list)
  JOIN good_jobs ON good_jobs.id = ANY (ARRAY[wanted.id])
  WHERE num_nulls(finished_at, locked_by_id) = 2
    AND good_jobs.queue_name IS NOT DISTINCT FROM wanted.queue
    AND good_jobs.concurrency_key IS NOT DISTINCT FROM wanted.key
    AND to_jsonb(good_jobs.labels) IS NOT DISTINCT FROM wanted.label_list::jsonb
    AND scheduled_at <= $7::timestamp
  FOR NO KEY UPDATE OF good_jobs SKIP LOCKED
),
locked AS MATERIALIZED (
  SELECT id, performed_at, $1::timestamp + (clock_timestamp() - statement_timestamp()) AS starts_at, gen_random_uuid() AS execution_id
  FROM candidate
  WHERE CASE WHEN id = ANY ($8::uuid[]) THEN false
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
),
claimed AS (
  INSERT INTO good_job_concurrency_claims (key, job_id, locked_by_id, state, created_at, updated_at)
  SELECT claim.key, claim.job_id, $2::uuid, 1, $1::timestamp, $1::timestamp
  FROM unnest($9::uuid[], $10::text[]) AS claim(job_id, key)
  JOIN started ON started.id = claim.job_id
  ON CONFLICT DO NOTHING
)
SELECT id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, cron_key, batch_id,
  batch_callback_id, created_at, scheduled_at, executions_count, interrupted_at, execution_id
FROM started;

EXECUTE start_admitted_executed('2026-01-31T12:00:00.000000Z', '00000000-0000-4000-8000-00000000c1a2', '{00000000-0000-4000-8000-0000000000d1}', '{"default"}', '{"k"}',  E'{"[\\"a\\"]"}', '2026-01-31T12:00:00.000000Z', '{}', '{00000000-0000-4000-8000-0000000000d1}', '{"label:a"}');
COMMIT;
