WITH waiting AS MATERIALIZED (
  SELECT queue_name, job_class, scheduled_at
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL AND scheduled_at <= $1
  ORDER BY scheduled_at
  LIMIT $2
)
SELECT queue_name, job_class, count(*)::int AS jobs, min(scheduled_at) AS oldest_at
FROM waiting
GROUP BY queue_name, job_class
ORDER BY queue_name, job_class;
