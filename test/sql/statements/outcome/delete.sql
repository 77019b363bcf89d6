WITH outcome AS MATERIALIZED (
  SELECT *
  FROM unnest($1::uuid[], $2::timestamp[], $3::uuid[], $4::timestamp[], $5::float8[], $6::text[], $7::smallint[], $8::text[])
    AS outcome(id, locked_at, execution_id, finished_at, duration, error, error_event, backtrace)
),
deleted AS (
  DELETE FROM good_jobs USING outcome
  WHERE good_jobs.id = ANY (ARRAY[outcome.id])
    AND good_jobs.locked_by_id IS NOT DISTINCT FROM $9::uuid
    AND good_jobs.locked_at = outcome.locked_at
    AND num_nulls(good_jobs.finished_at) = 1
  RETURNING good_jobs.id, good_jobs.batch_id, good_jobs.labels, good_jobs.concurrency_key
),
execution AS (
  DELETE FROM good_job_executions USING deleted WHERE active_job_id = ANY (ARRAY[deleted.id])
)
SELECT id, batch_id, CASE WHEN (SELECT EXISTS (SELECT 1 FROM good_job_concurrency_claims)) THEN EXISTS (SELECT id FROM good_job_concurrency_claims WHERE job_id = ANY (ARRAY[deleted.id])) OR EXISTS (
    SELECT 1 FROM good_job_concurrency_claims
    WHERE state = 0
      AND key = ANY (ARRAY['all', 'key:' || deleted.concurrency_key] || ARRAY(SELECT 'label:' || btrim(label) FROM unnest(deleted.labels) AS label))
  ) ELSE false END AS frees_place FROM deleted;
