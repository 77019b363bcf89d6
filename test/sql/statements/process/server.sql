SELECT current_setting('server_version') AS version, current_database() AS database, current_user AS user,
  pg_is_in_recovery() AS is_standby, has_table_privilege('good_jobs', 'SELECT, INSERT, UPDATE, DELETE') AS may_write;
