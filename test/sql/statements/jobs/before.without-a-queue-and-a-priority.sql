WITH before AS MATERIALIZED (
  SELECT scheduled_at
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL AND queue_name IS NULL AND (priority IS NOT NULL OR created_at < $3)
  ORDER BY priority, created_at
  LIMIT $2
)
SELECT count(*) FILTER (WHERE scheduled_at <= $1)::int AS jobs, count(*) = $2 AS is_capped FROM before;
