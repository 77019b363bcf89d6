SELECT 1 FROM (
  SELECT least(callback.created_at,
        (SELECT min(attempt.created_at) FROM good_job_executions AS attempt WHERE attempt.active_job_id = callback.id)) AS created_at
  FROM good_jobs AS callback
  WHERE callback.batch_callback_id = $1 AND callback.serialized_params #>> '{arguments,1,event,value}' = 'success'
) AS success
WHERE success.created_at BETWEEN greatest($3::timestamp - interval '1 second', $4::timestamp) AND $2::timestamp
  AND NOT EXISTS (
    SELECT 1 FROM good_jobs
    WHERE batch_id = $1 AND (finished_at IS NULL OR error IS NOT NULL OR finished_at > success.created_at)
  )
LIMIT 1;
