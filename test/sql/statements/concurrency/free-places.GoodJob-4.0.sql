SELECT pg_notify('good_job_node', $1::text)::text AS message;
