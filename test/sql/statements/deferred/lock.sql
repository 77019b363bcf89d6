WITH released AS MATERIALIZED (
  SELECT count(*) FILTER (WHERE NOT pg_advisory_unlock(key))::int AS missing FROM unnest($2::bigint[]) AS key
),
candidate AS MATERIALIZED (
  SELECT id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, cron_key, batch_id, batch_callback_id, scheduled_at, created_at, executions_count, performed_at
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL
    AND scheduled_at <= $3::timestamp
    AND job_class = ANY ($4::text[])  
  ORDER BY good_jobs.priority ASC NULLS LAST, good_jobs.created_at ASC
  LIMIT 1000
  FOR NO KEY UPDATE SKIP LOCKED
),
locked AS MATERIALIZED (
  SELECT id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, cron_key, batch_id, batch_callback_id, scheduled_at, created_at, executions_count, performed_at, $1::timestamp + (clock_timestamp() - statement_timestamp()) AS starts_at, gen_random_uuid() AS execution_id
  FROM candidate
  WHERE CASE WHEN id = ANY ($5::uuid[]) THEN false
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
  LIMIT $6::int
)
SELECT id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, cron_key, batch_id, batch_callback_id,
  created_at, scheduled_at, least(coalesce(executions_count, 0), 2147483646) + 1 AS executions_count, performed_at AS interrupted_at, execution_id, starts_at,
  CASE WHEN (SELECT EXISTS (SELECT 1 FROM good_job_concurrency_claims))
    THEN EXISTS (SELECT id FROM good_job_concurrency_claims WHERE job_id = ANY (ARRAY[locked.id])) OR (SELECT EXISTS (SELECT 1 FROM good_job_concurrency_claims WHERE key = 'all')) ELSE false END AS is_claimed, missing
FROM released
LEFT JOIN locked ON true
ORDER BY locked.priority ASC NULLS LAST, locked.created_at ASC;
