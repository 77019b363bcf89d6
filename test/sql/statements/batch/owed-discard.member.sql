SELECT to_json(broken.finished_at) #>> '{}' AS "brokenAt"
FROM good_jobs AS broken
JOIN good_job_batches AS batch ON batch.id = broken.batch_id
WHERE broken.id = $1::uuid AND batch.id = $2::uuid AND broken.finished_at IS NOT NULL AND broken.error IS NOT NULL
  AND batch.discarded_at IS NULL AND batch.updated_at < $3::timestamp
    AND CASE WHEN batch.jobs_finished_at IS NULL THEN broken.finished_at >= batch.updated_at ELSE broken.finished_at > batch.jobs_finished_at END
    AND EXISTS (
      SELECT 1 FROM good_jobs WHERE id = broken.id AND batch_id = batch.id AND error NOT LIKE 'GoodJob::Job::DiscardJobError: %'
    );
