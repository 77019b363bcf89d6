WITH free AS MATERIALIZED (
  SELECT id
  FROM good_jobs
  WHERE locked_by_id = $1::uuid
    AND id <> ALL ($2::uuid[])
    AND (locked_at = ANY ($3::timestamp[]) OR locked_at < $4::timestamp)
  FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE good_jobs
SET locked_by_id = NULL, locked_at = NULL, lock_type = NULL
FROM free
WHERE good_jobs.id = ANY (ARRAY[free.id]);
