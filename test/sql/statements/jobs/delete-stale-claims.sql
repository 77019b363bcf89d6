DELETE FROM good_job_concurrency_claims
WHERE id IN (
  SELECT claims.id FROM good_job_concurrency_claims AS claims
  WHERE NOT EXISTS (SELECT 1 FROM good_jobs WHERE good_jobs.id = claims.job_id AND finished_at IS NULL)
  FOR UPDATE OF claims SKIP LOCKED
);
