DELETE FROM good_job_concurrency_claims
WHERE id IN (
  SELECT id FROM good_job_concurrency_claims WHERE state = 1 AND locked_by_id = ANY ($1::uuid[]) FOR UPDATE SKIP LOCKED
)
RETURNING key;
