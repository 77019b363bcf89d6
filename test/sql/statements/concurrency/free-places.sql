WITH released AS (
  DELETE FROM good_job_concurrency_claims
  WHERE id IN (
    SELECT id FROM good_job_concurrency_claims WHERE job_id = ANY ($1::uuid[]) AND locked_by_id = $2::uuid FOR UPDATE SKIP LOCKED
  )
  RETURNING job_id, key
)
SELECT job_id::text, key FROM released
UNION ALL
SELECT NULL, freed.key FROM unnest($3::text[]) AS freed(key)
WHERE EXISTS (SELECT FROM good_job_concurrency_claims AS claim WHERE claim.state = 0 AND claim.key = ANY (ARRAY[freed.key]))
UNION ALL
SELECT NULL, NULL FROM (SELECT pg_notify('good_job_node', $4::text) WHERE $4::text <> '') AS notified;
