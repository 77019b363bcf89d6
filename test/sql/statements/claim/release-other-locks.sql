WITH stray AS MATERIALIZED (
  SELECT (classid::bigint << 32) | objid::bigint AS key
  FROM pg_locks
  WHERE pid = pg_backend_pid()
    AND locktype = 'advisory'
    AND objsubid = 1
    AND mode = 'ExclusiveLock'
    AND (classid::bigint << 32) | objid::bigint <> ALL ($1::bigint[])
)
SELECT count(*) FILTER (WHERE NOT pg_advisory_unlock(key))::int AS missing FROM stray;
