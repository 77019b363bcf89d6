DELETE FROM good_job_concurrency_claims
WHERE id IN (
  SELECT id FROM good_job_concurrency_claims WHERE job_id = ANY ($1::uuid[]) AND locked_by_id = $2::uuid FOR UPDATE SKIP LOCKED
)
RETURNING job_id, key;

SELECT claim.id
FROM unnest($1::text[], $2::int[]) AS freed(key, places)
CROSS JOIN LATERAL (
  SELECT id
  FROM good_job_concurrency_claims
  WHERE state = 0
    AND good_job_concurrency_claims.key = freed.key
    AND EXISTS (SELECT 1 FROM good_jobs WHERE good_jobs.id = ANY (ARRAY[job_id]) AND finished_at IS NULL)
  ORDER BY created_at
  LIMIT freed.places
  FOR UPDATE SKIP LOCKED
) AS claim;

WITH claim AS MATERIALIZED (
  SELECT id, job_id FROM good_job_concurrency_claims WHERE id = ANY ($1::uuid[])
),
idle AS MATERIALIZED (
  SELECT good_jobs.id
  FROM claim
  JOIN good_jobs ON good_jobs.id = claim.job_id
  WHERE performed_at IS NULL AND finished_at IS NULL
  FOR NO KEY UPDATE OF good_jobs SKIP LOCKED
),
due AS (
  UPDATE good_jobs SET scheduled_at = $2::timestamp FROM idle WHERE good_jobs.id = idle.id
  RETURNING good_jobs.id, queue_name
),
promoted AS (
  UPDATE good_job_concurrency_claims
  SET state = CASE WHEN due.id IS NULL THEN 2 ELSE 3 END, updated_at = $2::timestamp
  FROM claim
  JOIN good_jobs ON good_jobs.id = claim.job_id
  LEFT JOIN due ON due.id = claim.job_id
  WHERE good_job_concurrency_claims.id = claim.id AND (due.id IS NOT NULL OR performed_at IS NOT NULL)
)
SELECT pg_notify('good_job', json_build_object('queue_name', queue_name)::text) FROM due WHERE $3::bool;
