SELECT id FROM good_jobs WHERE batch_id = $1 AND finished_at IS NULL ORDER BY id;
