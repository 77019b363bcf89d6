DELETE FROM good_job_batches
WHERE id IN (
  SELECT id FROM good_job_batches
  WHERE finished_at IS NOT NULL AND finished_at <= $1 AND ($2::bool OR discarded_at IS NULL)
    AND NOT EXISTS (SELECT 1 FROM good_jobs WHERE batch_id = good_job_batches.id AND good_jobs.finished_at IS NULL)
  ORDER BY finished_at
  LIMIT 1000
  FOR UPDATE SKIP LOCKED
);
