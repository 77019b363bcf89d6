SELECT pg_locks.pid, application_name AS application, coalesce(xact_start, backend_start) AS since
FROM pg_locks
LEFT JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((classid::bigint << 32) | objid::bigint) = hashtextextended('good-job-node page of a batch sweep', 0);
