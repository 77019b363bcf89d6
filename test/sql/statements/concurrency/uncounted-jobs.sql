WITH job AS MATERIALIZED (
  SELECT job_class, concurrency_key, labels
  FROM good_jobs
  WHERE finished_at IS NULL AND job_class = ANY ($1::text[])
  ORDER BY priority, created_at
  LIMIT $2
)
SELECT job_class, count(*)::int AS jobs, count(*) FILTER (WHERE concurrency_key IS NULL)::int AS keyless,
  count(*) FILTER (WHERE EXISTS (
    SELECT FROM unnest($3::text[], $4::text[]) AS rule(job_class, label)
    WHERE rule.job_class = job.job_class AND rule.label = ANY (ARRAY(SELECT btrim(text) FROM unnest(labels) AS text))
  ))::int AS labelled
FROM job
GROUP BY job_class
ORDER BY job_class;
