SELECT claimed.id, CASE WHEN good_jobs.id IS NULL THEN 'deleted' WHEN finished_at IS NOT NULL THEN 'finished' ELSE 'released' END AS lost_by
FROM unnest($1::uuid[], $2::timestamp[]) AS claimed(id, locked_at)
LEFT JOIN good_jobs ON good_jobs.id = claimed.id
WHERE good_jobs.id IS NULL
  OR finished_at IS NOT NULL
  OR locked_by_id IS DISTINCT FROM $3::uuid
  OR good_jobs.locked_at IS DISTINCT FROM claimed.locked_at;
