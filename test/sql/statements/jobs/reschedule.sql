UPDATE good_jobs SET scheduled_at = $2, updated_at = $3 WHERE id = ANY ($1::uuid[]) AND finished_at IS NULL;
