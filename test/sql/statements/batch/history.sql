WITH breaking AS MATERIALIZED (
  SELECT job.id AS job_id, attempt.finished_at AS broken_at, CASE WHEN attempt.serialized_params->>'executions' ~ '^[0-9]{1,9}$' THEN (attempt.serialized_params->>'executions')::int END AS executions
  FROM good_jobs AS job JOIN good_job_executions AS attempt ON attempt.active_job_id = job.id
  WHERE job.batch_id = $1 AND attempt.error IS NOT NULL AND coalesce(attempt.error_event, 1) NOT IN (0, 3)
    AND attempt.finished_at <= $2::timestamp AND attempt.finished_at > $2::timestamp - interval '5 seconds'
    AND (attempt.error_event <> 1 OR attempt.finished_at = $2::timestamp OR NOT (
      EXISTS (
        SELECT 1 FROM good_job_executions AS other
        WHERE other.active_job_id = job.id AND other.id <> attempt.id AND other.error_event IS DISTINCT FROM 0
          AND other.serialized_params->>'executions' IS NOT DISTINCT FROM attempt.serialized_params->>'executions'
          AND (other.created_at >= attempt.finished_at OR (other.finished_at IS NOT NULL AND other.error IS NULL))
      )
      OR (job.finished_at IS NULL
        AND job.serialized_params->>'executions' IS NOT DISTINCT FROM attempt.serialized_params->>'executions')
    ))
  ORDER BY attempt.finished_at DESC
  LIMIT 1
),
mended AS MATERIALIZED (
  SELECT 1 FROM breaking
  JOIN good_jobs AS job ON job.id = breaking.job_id AND job.finished_at IS NOT NULL AND job.error IS NULL
  JOIN good_job_executions AS mending ON mending.active_job_id = job.id
  WHERE mending.finished_at IS NOT NULL AND mending.error IS NULL
    AND (CASE WHEN mending.serialized_params->>'executions' ~ '^[0-9]{1,9}$' THEN (mending.serialized_params->>'executions')::int END > breaking.executions OR mending.created_at > $2::timestamp)
    AND NOT EXISTS (
      SELECT 1 FROM good_jobs AS callback
      WHERE callback.batch_callback_id = $1
        AND CASE WHEN $5::boolean THEN callback.serialized_params #>> '{arguments,1,event,value}' = 'discard'
          ELSE mending.created_at <= $2::timestamp END
        AND least(callback.created_at,
        (SELECT min(attempt.created_at) FROM good_job_executions AS attempt WHERE attempt.active_job_id = callback.id)) >= breaking.broken_at AND least(callback.created_at,
        (SELECT min(attempt.created_at) FROM good_job_executions AS attempt WHERE attempt.active_job_id = callback.id)) < $2::timestamp
    )
)
SELECT
  EXISTS (SELECT 1 FROM mended) OR EXISTS (
    SELECT 1 FROM good_jobs AS job JOIN good_job_executions AS attempt ON attempt.active_job_id = job.id
    WHERE job.batch_id = $1 AND job.finished_at IS NOT NULL AND job.error IS NULL
      AND attempt.finished_at IS NOT NULL AND attempt.error IS NULL AND attempt.created_at > $2::timestamp
  ) AS has_success_since,
  EXISTS (SELECT 1 FROM breaking) AS has_breaking_attempt,
  EXISTS (SELECT 1 FROM mended) AS has_mended_member,
  EXISTS (
    SELECT 1 FROM good_jobs AS job JOIN good_job_executions AS attempt ON attempt.active_job_id = job.id
    WHERE job.batch_id = $1 AND attempt.created_at > $2::timestamp
      AND CASE WHEN attempt.serialized_params->>'executions' ~ '^[0-9]{1,9}$' THEN (attempt.serialized_params->>'executions')::int END > (
        SELECT count(*) FROM good_job_executions AS earlier
        WHERE earlier.active_job_id = job.id AND earlier.error_event IS DISTINCT FROM 0
          AND coalesce(CASE WHEN earlier.serialized_params->>'executions' ~ '^[0-9]{1,9}$' THEN (earlier.serialized_params->>'executions')::int END < CASE WHEN attempt.serialized_params->>'executions' ~ '^[0-9]{1,9}$' THEN (attempt.serialized_params->>'executions')::int END, true)
      )
  ) AS has_manual_discard,
  EXISTS (
    SELECT 1 FROM good_jobs WHERE batch_id = $1 AND error LIKE 'GoodJob::Job::DiscardJobError: %'
  ) AS has_discarded_member,
  EXISTS (
    SELECT 1 FROM good_jobs AS callback
    WHERE callback.batch_callback_id = $1
      AND callback.serialized_params #>> '{arguments,1,event,value}' = 'success'
      AND least(callback.created_at,
        (SELECT min(attempt.created_at) FROM good_job_executions AS attempt WHERE attempt.active_job_id = callback.id))
        >= greatest($3::timestamp - interval '1 second', least($4::timestamp, $3::timestamp))
  ) AS has_success_callback;
