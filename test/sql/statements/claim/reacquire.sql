WITH ours AS MATERIALIZED (
  SELECT claimed.id
  FROM unnest($1::uuid[], $2::timestamp[]) AS claimed(id, locked_at)
  JOIN good_jobs ON good_jobs.id = claimed.id
  WHERE locked_by_id IS NOT DISTINCT FROM $3::uuid
    AND good_jobs.locked_at = claimed.locked_at
    AND finished_at IS NULL
)
SELECT id FROM ours WHERE pg_try_advisory_lock(('x' || substr(md5('good_jobs-' || id::text), 1, 16))::bit(64)::bigint);
