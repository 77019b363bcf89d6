SELECT min(scheduled_at) AS scheduled_at
FROM good_jobs
WHERE finished_at IS NULL
  AND locked_by_id IS NULL
  AND scheduled_at > $1::timestamp
  AND scheduled_at <= $2::timestamp
  AND job_class = ANY ($3::text[]);
