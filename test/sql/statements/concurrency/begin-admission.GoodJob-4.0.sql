PREPARE count_running_executed AS 
WITH running AS MATERIALIZED (
  SELECT id, labels, concurrency_key
  FROM good_jobs
  WHERE locked_by_id IS NOT NULL AND num_nulls(performed_at) = 0 AND num_nulls(finished_at) = 1
)
SELECT scope.claim_key, count(*)::int AS running
FROM running
CROSS JOIN LATERAL (
    SELECT 'label:' || label AS claim_key FROM unnest(running.labels) AS label
    UNION SELECT 'key:' || running.concurrency_key WHERE running.concurrency_key IS NOT NULL
    UNION SELECT 'all'
) AS scope
WHERE scope.claim_key = ANY ($1::text[])
GROUP BY scope.claim_key;

BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = 1000;
SELECT count(*) FILTER (WHERE NOT pg_advisory_unlock(key))::int AS missing FROM unnest('{-779986151999380309}'::bigint[]) AS key;
SELECT pg_advisory_xact_lock('7148357773255442908'::bigint);
SELECT '-8294309540007671660' AS held_key WHERE NOT pg_try_advisory_xact_lock('-8294309540007671660'::bigint);
EXECUTE count_running_executed('{"label:a","key:k"}');
