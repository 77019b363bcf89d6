SELECT max(cron_at) AS cron_at FROM good_jobs WHERE cron_key = $1::text AND cron_at <= $2::timestamp;
