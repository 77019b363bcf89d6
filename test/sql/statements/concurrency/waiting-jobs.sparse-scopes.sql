SELECT scope.claim_key, job.*
FROM unnest($2::text[], $1::text[]) AS scope(claim_key, value)
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT id, job_class, queue_name, priority, CASE WHEN job_class = ANY ($5::text[]) THEN serialized_params END AS serialized_params, labels, concurrency_key, created_at, scheduled_at
    FROM good_jobs
    WHERE finished_at IS NULL AND locked_by_id IS NULL
      AND labels @> ARRAY[scope.value]
      AND scheduled_at <= $6::timestamp
      AND (job_class, scope.claim_key) IN (SELECT * FROM unnest($3::text[], $4::text[]))
    AND job_class <> ALL ($8::text[])
    AND ((job_class, concurrency_key) IN (SELECT * FROM unnest($9::text[], $10::text[]))) IS NOT TRUE
    AND (labels && $7::text[]
      AND EXISTS (SELECT FROM unnest(labels) AS own(label) WHERE (job_class, own.label) IN (SELECT * FROM unnest($11::text[], $12::text[])))) IS NOT TRUE
    AND id <> ALL ($13::uuid[])
      
    OFFSET 0
  ) AS waiting
  ORDER BY waiting.priority ASC NULLS LAST, waiting.created_at ASC
  LIMIT 16
) AS job;

SELECT scope.claim_key, job.*
FROM unnest($2::text[], $1::text[]) AS scope(claim_key, value)
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT id, job_class, queue_name, priority, CASE WHEN job_class = ANY ($5::text[]) THEN serialized_params END AS serialized_params, labels, concurrency_key, created_at, scheduled_at
    FROM good_jobs
    WHERE finished_at IS NULL AND locked_by_id IS NULL
      AND concurrency_key = scope.value
      AND scheduled_at <= $6::timestamp
      AND (job_class, scope.claim_key) IN (SELECT * FROM unnest($3::text[], $4::text[]))
    AND job_class <> ALL ($8::text[])
    AND ((job_class, concurrency_key) IN (SELECT * FROM unnest($9::text[], $10::text[]))) IS NOT TRUE
    AND (labels && $7::text[]
      AND EXISTS (SELECT FROM unnest(labels) AS own(label) WHERE (job_class, own.label) IN (SELECT * FROM unnest($11::text[], $12::text[])))) IS NOT TRUE
    AND id <> ALL ($13::uuid[])
      
    OFFSET 0
  ) AS waiting
  ORDER BY waiting.priority ASC NULLS LAST, waiting.created_at ASC
  LIMIT 16
) AS job;

SELECT scope.claim_key, job.*
FROM unnest($2::text[], $1::text[]) AS scope(claim_key, value)
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT id, job_class, queue_name, priority, CASE WHEN job_class = ANY ($5::text[]) THEN serialized_params END AS serialized_params, labels, concurrency_key, created_at, scheduled_at
    FROM good_jobs
    WHERE finished_at IS NULL AND locked_by_id IS NULL
      AND true
      AND scheduled_at <= $6::timestamp
      AND (job_class, scope.claim_key) IN (SELECT * FROM unnest($3::text[], $4::text[]))
    AND job_class <> ALL ($8::text[])
    AND ((job_class, concurrency_key) IN (SELECT * FROM unnest($9::text[], $10::text[]))) IS NOT TRUE
    AND (labels && $7::text[]
      AND EXISTS (SELECT FROM unnest(labels) AS own(label) WHERE (job_class, own.label) IN (SELECT * FROM unnest($11::text[], $12::text[])))) IS NOT TRUE
    AND id <> ALL ($13::uuid[])
      
    OFFSET 0
  ) AS waiting
  ORDER BY waiting.priority ASC NULLS LAST, waiting.created_at ASC
  LIMIT 16
) AS job;
