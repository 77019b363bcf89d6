SELECT pg_try_advisory_xact_lock(hashtextextended('good-job-node page of a batch sweep', 0)) AS is_locked;
