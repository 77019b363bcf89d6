SELECT id::text FROM good_job_batches WHERE id = ANY ($1::uuid[]);
