WITH running AS MATERIALIZED (
  SELECT id, job_class, locked_by_id, performed_at, labels, concurrency_key
  FROM good_jobs
  WHERE locked_by_id IS NOT NULL AND num_nulls(performed_at) = 0 AND num_nulls(finished_at) = 1
)
SELECT scope.claim_key, holder.*
FROM unnest($1::text[]) AS scope(claim_key)
CROSS JOIN LATERAL (
  SELECT id, job_class, locked_by_id, performed_at
  FROM running
  WHERE (scope.claim_key = 'all'
      OR scope.claim_key = 'key:' || concurrency_key
      OR scope.claim_key = ANY (ARRAY(SELECT 'label:' || label FROM unnest(labels) AS label)))
  AND NOT EXISTS (SELECT 1 FROM good_job_concurrency_claims AS claim WHERE claim.job_id = ANY (ARRAY[running.id]) AND claim.key = scope.claim_key AND claim.state <> 1)
  ORDER BY performed_at, id
  LIMIT $2
) AS holder;
