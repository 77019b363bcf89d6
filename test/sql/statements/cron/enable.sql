INSERT INTO good_job_settings AS setting (key, value, created_at, updated_at)
VALUES ($1::text, jsonb_build_array($2::text), (clock_timestamp() AT TIME ZONE 'UTC'), (clock_timestamp() AT TIME ZONE 'UTC'))
ON CONFLICT (key) DO UPDATE
SET value = (CASE jsonb_typeof(setting.value) WHEN 'array' THEN setting.value ELSE '[]' END) || jsonb_build_array($2::text), updated_at = excluded.updated_at
WHERE NOT (CASE jsonb_typeof(setting.value) WHEN 'array' THEN setting.value ELSE '[]' END) @> jsonb_build_array($2::text);

UPDATE good_job_settings
SET value = value - $2::text, updated_at = (clock_timestamp() AT TIME ZONE 'UTC')
WHERE key = $1::text AND jsonb_typeof(value) = 'array' AND value @> jsonb_build_array($2::text);
