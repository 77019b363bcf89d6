SELECT EXISTS (SELECT FROM good_jobs WHERE cron_key = $1::text) OR EXISTS (
  SELECT FROM good_job_settings
  WHERE key IN ('cron_keys_enabled', 'cron_keys_disabled') AND value @> jsonb_build_array($1::text)
) AS is_known;
