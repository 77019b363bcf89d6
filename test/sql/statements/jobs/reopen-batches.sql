UPDATE good_job_batches SET finished_at = NULL, updated_at = $2
WHERE id = ANY ($1::uuid[]) AND finished_at IS NOT NULL AND jobs_finished_at IS NOT NULL;
