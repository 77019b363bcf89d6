SELECT pg_try_advisory_xact_lock($1::bigint) AS is_locked, set_config('lock_timeout', '1s', true),
  set_config('statement_timeout', least($2::bigint, nullif(setting::bigint, 0))::text, true)
FROM pg_settings WHERE name = 'statement_timeout';
