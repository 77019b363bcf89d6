SELECT id, created_at, description, discarded_at
FROM good_job_batches
WHERE (discarded_at IS NOT NULL OR finished_at IS NULL)
    AND enqueued_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM good_jobs WHERE batch_id = good_job_batches.id AND good_jobs.finished_at IS NULL)
    AND (finished_at IS NULL OR NOT EXISTS (
      SELECT 1 FROM good_jobs
      WHERE batch_id = good_job_batches.id AND good_jobs.finished_at IS NOT NULL AND good_jobs.error IS NOT NULL)) AND (created_at, id) < ($1, $2::uuid)
ORDER BY created_at DESC, id DESC
LIMIT $3;
