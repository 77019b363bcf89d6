WITH advisory AS MATERIALIZED (
  SELECT (classid::bigint << 32) | objid::bigint AS key FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
)
SELECT scope.place, (
  SELECT count(*) FROM good_jobs
  WHERE labels && ARRAY[scope.text] AND finished_at IS NULL AND locked_by_id IS NULL AND ('x' || substr(md5('good_jobs-' || id::text), 1, 16))::bit(64)::bigint NOT IN (SELECT key FROM advisory)
)::int AS jobs
FROM unnest($1::int[], $2::text[], $3::float8[], $4::timestamp[]) AS scope(place, text, seconds, now)
UNION ALL
SELECT scope.place, (
  SELECT count(*) FROM good_jobs
  WHERE concurrency_key = scope.text AND finished_at IS NULL
)::int AS jobs
FROM unnest($5::int[], $6::text[], $7::float8[], $8::timestamp[]) AS scope(place, text, seconds, now)
UNION ALL
SELECT scope.place, (
  SELECT count(*) FROM good_jobs
  WHERE concurrency_key = scope.text AND created_at > scope.now - make_interval(secs => scope.seconds)
)::int AS jobs
FROM unnest($9::int[], $10::text[], $11::float8[], $12::timestamp[]) AS scope(place, text, seconds, now)
UNION ALL
SELECT scope.place, (
  SELECT count(*) FROM good_jobs
  WHERE true AND created_at > scope.now - make_interval(secs => scope.seconds)
)::int AS jobs
FROM unnest($13::int[], $14::text[], $15::float8[], $16::timestamp[]) AS scope(place, text, seconds, now);
