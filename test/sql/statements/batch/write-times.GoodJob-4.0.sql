UPDATE good_job_batches
SET updated_at = $1::timestamp, enqueued_at = times.enqueued_at, discarded_at = times.discarded_at, finished_at = times.finished_at
  
FROM unnest($2::uuid[], $3::timestamp[], $4::timestamp[], $5::timestamp[]
    )
  AS times(id, enqueued_at, discarded_at, finished_at )
WHERE good_job_batches.id = times.id;
