WITH broken AS MATERIALIZED (
  SELECT id, batch_id, finished_at
  FROM good_jobs
  WHERE finished_at IS NOT NULL AND error IS NOT NULL
    AND finished_at > $1::timestamp AND finished_at < $2::timestamp
  ORDER BY finished_at DESC
  LIMIT 10000
)
SELECT DISTINCT ON (batch.id) batch.id::text AS id, batch.description, broken.id::text AS "memberId"
FROM broken
JOIN good_job_batches AS batch ON batch.id = broken.batch_id
WHERE batch.created_at > $1::timestamp AND batch.discarded_at IS NULL AND batch.updated_at < $2::timestamp
    AND CASE WHEN batch.jobs_finished_at IS NULL THEN broken.finished_at >= batch.updated_at ELSE broken.finished_at > batch.jobs_finished_at END
    AND EXISTS (
      SELECT 1 FROM good_jobs WHERE id = broken.id AND batch_id = batch.id AND error NOT LIKE 'GoodJob::Job::DiscardJobError: %'
    )
ORDER BY batch.id, broken.finished_at;
