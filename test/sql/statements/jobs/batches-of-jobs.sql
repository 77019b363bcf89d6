SELECT DISTINCT batch FROM good_jobs, unnest(ARRAY[batch_id, batch_callback_id]) AS batch
WHERE good_jobs.id = ANY ($1::uuid[]) AND batch IS NOT NULL;
