SELECT job.cron_key, id, cron_at, created_at, error, CASE
    WHEN finished_at IS NOT NULL AND btrim(coalesce(error, '')) <> '' THEN 'discarded'
    WHEN finished_at IS NOT NULL THEN 'succeeded'
    WHEN performed_at IS NOT NULL THEN 'running'
    WHEN coalesce(scheduled_at, created_at) <= $2::timestamp THEN 'queued'
    WHEN btrim(coalesce(error, '')) <> '' THEN 'retried'
    ELSE 'scheduled'
  END AS state
FROM unnest($1::text[]) AS entry(cron_key)
CROSS JOIN LATERAL (
  SELECT * FROM (
    (SELECT id, cron_key, cron_at, created_at, scheduled_at, performed_at, finished_at, error FROM good_jobs WHERE cron_key = entry.cron_key AND cron_at IS NOT NULL ORDER BY cron_at DESC LIMIT 1)
    UNION ALL
    (SELECT id, cron_key, cron_at, created_at, scheduled_at, performed_at, finished_at, error FROM good_jobs WHERE cron_key = entry.cron_key AND cron_at IS NULL ORDER BY created_at DESC LIMIT 1)
  ) AS either
  ORDER BY cron_at IS NULL
  LIMIT 1
) AS job;
