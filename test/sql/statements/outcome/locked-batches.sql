WITH free AS MATERIALIZED (SELECT id FROM good_job_batches WHERE id = ANY ($1::uuid[]) FOR NO KEY UPDATE SKIP LOCKED),
batch AS MATERIALIZED (
  SELECT id, pg_try_advisory_xact_lock(key) AS has_lock FROM unnest($1::uuid[], $2::bigint[]) AS batch(id, key)
)
SELECT id
FROM batch
WHERE NOT has_lock
  OR (EXISTS (SELECT 1 FROM good_job_batches WHERE good_job_batches.id = batch.id) AND NOT EXISTS (SELECT 1 FROM free WHERE free.id = batch.id));
