SELECT id, created_at, finished_at, extract(epoch FROM duration)::float8 AS duration_seconds, error, error_event, error_backtrace, process_id
FROM good_job_executions WHERE active_job_id = $1 ORDER BY created_at, id;
