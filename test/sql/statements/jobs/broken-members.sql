SELECT id FROM good_jobs WHERE batch_id = $1 AND finished_at IS NOT NULL AND error IS NOT NULL ORDER BY id;
