WITH released AS (
  UPDATE good_jobs SET locked_by_id = NULL WHERE locked_by_id = $1::uuid
)
DELETE FROM good_job_processes WHERE id = $1::uuid;
