SELECT set_config('lock_timeout', '10s', true), pg_advisory_xact_lock(hashtextextended('good-job-node page of a batch sweep', 0));
