WITH page AS MATERIALIZED (
  SELECT id, created_at, description, on_success, on_finish, on_discard, enqueued_at, discarded_at, finished_at,
    jobs_finished_at, CASE
    WHEN discarded_at IS NOT NULL THEN 'discarded'
    WHEN finished_at IS NOT NULL THEN 'succeeded'
    WHEN enqueued_at IS NOT NULL THEN 'running'
    ELSE 'pending'
  END AS state
  FROM good_job_batches
  WHERE (created_at, id) < ($2, $3::uuid)
  ORDER BY created_at DESC, id DESC
  LIMIT $4
),
member AS (
  SELECT batch_id, CASE
    WHEN finished_at IS NOT NULL AND btrim(coalesce(error, '')) <> '' THEN 'discarded'
    WHEN finished_at IS NOT NULL THEN 'succeeded'
    WHEN performed_at IS NOT NULL THEN 'running'
    WHEN coalesce(scheduled_at, created_at) <= $1 THEN 'queued'
    WHEN btrim(coalesce(error, '')) <> '' THEN 'retried'
    ELSE 'scheduled'
  END AS state, count(*)::int AS jobs
  FROM good_jobs WHERE batch_id IN (SELECT id FROM page) GROUP BY 1, 2
)
SELECT page.*, coalesce((SELECT json_object_agg(member.state, member.jobs) FROM member WHERE batch_id = page.id), '{}')::text AS jobs
FROM page ORDER BY created_at DESC, id DESC;
