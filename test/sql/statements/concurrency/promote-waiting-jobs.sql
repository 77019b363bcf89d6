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
