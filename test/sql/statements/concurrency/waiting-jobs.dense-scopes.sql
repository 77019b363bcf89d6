SELECT scope.claim_key, job.*
FROM unnest($2::text[], $1::text[]) AS scope(claim_key, value)
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT id, job_class, queue_name, priority, CASE WHEN job_class = ANY ($3::text[]) THEN serialized_params END AS serialized_params, labels, concurrency_key, created_at, scheduled_at
    FROM good_jobs
    WHERE finished_at IS NULL AND locked_by_id IS NULL
      AND scope.value = ANY (labels)
      AND scheduled_at <= $4::timestamp
      AND job_class = ANY ($5::text[])
      AND (job_class = ANY ($6::text[]) OR (concurrency_key = ANY ($7::text[]) OR labels && $8::text[]) IS TRUE)
      AND id <> ALL ($9::uuid[])
      
  ) AS waiting
  ORDER BY waiting.priority ASC NULLS LAST, waiting.created_at ASC
  LIMIT 16
) AS job;

SELECT scope.claim_key, job.*
FROM unnest($2::text[], $1::text[]) AS scope(claim_key, value)
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT id, job_class, queue_name, priority, CASE WHEN job_class = ANY ($3::text[]) THEN serialized_params END AS serialized_params, labels, concurrency_key, created_at, scheduled_at
    FROM good_jobs
    WHERE finished_at IS NULL AND locked_by_id IS NULL
      AND (concurrency_key = scope.value) IS TRUE
      AND scheduled_at <= $4::timestamp
      AND job_class = ANY ($5::text[])
      AND (job_class = ANY ($6::text[]) OR (concurrency_key = ANY ($7::text[]) OR labels && $8::text[]) IS TRUE)
      AND id <> ALL ($9::uuid[])
      
  ) AS waiting
  ORDER BY waiting.priority ASC NULLS LAST, waiting.created_at ASC
  LIMIT 16
) AS job;

SELECT scope.claim_key, job.*
FROM unnest($2::text[], $1::text[]) AS scope(claim_key, value)
CROSS JOIN LATERAL (
  SELECT * FROM (
    SELECT id, job_class, queue_name, priority, CASE WHEN job_class = ANY ($3::text[]) THEN serialized_params END AS serialized_params, labels, concurrency_key, created_at, scheduled_at
    FROM good_jobs
    WHERE finished_at IS NULL AND locked_by_id IS NULL
      AND true
      AND scheduled_at <= $4::timestamp
      AND job_class = ANY ($5::text[])
      AND (job_class = ANY ($6::text[]) OR (concurrency_key = ANY ($7::text[]) OR labels && $8::text[]) IS TRUE)
      AND id <> ALL ($9::uuid[])
      
  ) AS waiting
  ORDER BY waiting.priority ASC NULLS LAST, waiting.created_at ASC
  LIMIT 16
) AS job;
