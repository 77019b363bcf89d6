WITH before AS MATERIALIZED (
  SELECT scheduled_at
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL AND queue_name = $3 AND (priority, created_at) < ($5, $4)
  ORDER BY priority, created_at
  LIMIT $2
)
SELECT count(*) FILTER (WHERE scheduled_at <= $1)::int AS jobs, count(*) = $2 AS is_capped FROM before;
