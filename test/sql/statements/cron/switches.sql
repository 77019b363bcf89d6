SELECT key, jsonb_typeof(value) = 'array' AS is_list,
  ARRAY(
    SELECT element #>> '{}'
    FROM jsonb_array_elements(CASE WHEN jsonb_typeof(value) = 'array' THEN value ELSE '[]' END) AS element
    WHERE jsonb_typeof(element) = 'string'
  ) AS names,
  CASE WHEN NOT jsonb_typeof(value) = 'array' THEN left(value::text, 200) END AS value
FROM good_job_settings
WHERE key IN ('cron_keys_enabled', 'cron_keys_disabled');
