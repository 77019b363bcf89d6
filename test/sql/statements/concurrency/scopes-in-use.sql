WITH waiting AS MATERIALIZED (
  SELECT job_class, labels, concurrency_key
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL AND scheduled_at <= $1::timestamp
  LIMIT $2
),
held AS MATERIALIZED (
  SELECT job_class, labels, concurrency_key
  FROM good_jobs
  WHERE locked_by_id IS NOT NULL AND finished_at IS NULL
),
alike AS MATERIALIZED (
  SELECT job_class, labels, concurrency_key, count(*) AS waiting FROM waiting GROUP BY job_class, labels, concurrency_key
  UNION ALL
  SELECT job_class, labels, concurrency_key, 0 FROM held GROUP BY job_class, labels, concurrency_key
),
in_scope AS (
  SELECT 'key:' || concurrency_key AS claim_key, job_class, waiting FROM alike WHERE concurrency_key IS NOT NULL
  UNION ALL
  SELECT 'label:' || label.text, job_class, waiting
  FROM alike CROSS JOIN LATERAL (SELECT DISTINCT btrim(label) AS text FROM unnest(labels) AS label) AS label
  WHERE label.text = ANY ($3::text[])
  UNION ALL
  SELECT 'all', job_class, waiting FROM alike
)
SELECT claim_key, sum(waiting)::int AS waiting, (array_agg(DISTINCT job_class))[1:20] AS job_classes,
  (SELECT sum(waiting) FROM alike) = $2 AS is_capped
FROM in_scope
GROUP BY claim_key
ORDER BY waiting DESC, claim_key
LIMIT $4;
