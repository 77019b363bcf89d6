SELECT count(*)::int AS jobs FROM (SELECT 1 FROM good_jobs WHERE job_class = $1 LIMIT $2) AS matching;
