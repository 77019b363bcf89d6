INSERT INTO good_job_processes (id, state, created_at, updated_at)
VALUES ($1, $2::jsonb, (clock_timestamp() AT TIME ZONE 'UTC'), (clock_timestamp() AT TIME ZONE 'UTC'))
ON CONFLICT (id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at, lock_type = NULL;
