SELECT CASE
    WHEN finished_at IS NOT NULL AND btrim(coalesce(error, '')) <> '' THEN 'discarded'
    WHEN finished_at IS NOT NULL THEN 'succeeded'
    WHEN performed_at IS NOT NULL THEN 'running'
    WHEN coalesce(scheduled_at, created_at) <= $2 THEN 'queued'
    WHEN btrim(coalesce(error, '')) <> '' THEN 'retried'
    ELSE 'scheduled'
  END AS state, count(*)::int AS jobs FROM good_jobs WHERE batch_id = $1 GROUP BY 1 ORDER BY 1;
