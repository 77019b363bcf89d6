WITH waiting AS MATERIALIZED (
  SELECT id, job_class, queue_name, priority, scheduled_at, created_at
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL AND $1 = ANY (labels) AND scheduled_at <= $2::timestamp
  LIMIT $3
)
SELECT (SELECT count(*)::int FROM waiting) AS waiting, id, job_class, queue_name, priority, scheduled_at
FROM waiting
ORDER BY priority, created_at
LIMIT $4;
