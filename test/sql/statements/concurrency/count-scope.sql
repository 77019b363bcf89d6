SELECT scope.place, (
  SELECT count(*) FROM good_jobs
  WHERE labels && ARRAY[scope.text] AND finished_at IS NULL
)::int AS jobs
FROM unnest($1::int[], $2::text[], $3::float8[], $4::timestamp[]) AS scope(place, text, seconds, now);
