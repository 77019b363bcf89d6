WITH step AS MATERIALIZED (
  SELECT id, created_at, description, on_success, on_finish, on_discard, enqueued_at, discarded_at, finished_at,
    jobs_finished_at
  FROM good_job_batches
  
  ORDER BY created_at DESC, id DESC
  LIMIT 2000
),
last AS (
  SELECT created_at AS last_at, id AS last_id FROM step ORDER BY created_at ASC, id ASC LIMIT 1
)
SELECT last.last_at, last.last_id, (SELECT count(*)::int FROM step) AS seen, page.*
FROM last
LEFT JOIN LATERAL (
  SELECT good_job_batches.*, CASE
    WHEN discarded_at IS NOT NULL THEN 'discarded'
    WHEN finished_at IS NOT NULL THEN 'succeeded'
    WHEN enqueued_at IS NOT NULL THEN 'running'
    ELSE 'pending'
  END AS state
  FROM step AS good_job_batches
  WHERE (discarded_at IS NOT NULL OR jobs_finished_at IS NULL)
    AND enqueued_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM good_jobs WHERE batch_id = good_job_batches.id AND good_jobs.finished_at IS NULL)
    AND (jobs_finished_at IS NULL OR NOT EXISTS (
      SELECT 1 FROM good_jobs
      WHERE batch_id = good_job_batches.id AND good_jobs.finished_at IS NOT NULL AND good_jobs.error IS NOT NULL))
  ORDER BY created_at DESC, id DESC
  LIMIT $1
) AS page ON true
ORDER BY page.created_at DESC, page.id DESC;
