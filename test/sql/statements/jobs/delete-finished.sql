WITH old AS MATERIALIZED (
  SELECT id FROM good_jobs
  WHERE finished_at IS NOT NULL AND finished_at <= $1 AND ($2::bool OR error IS NULL)
  ORDER BY finished_at
  LIMIT 1000
  FOR UPDATE SKIP LOCKED
),
attempt AS MATERIALIZED (
  SELECT attempts.id FROM good_job_executions AS attempts
  JOIN old ON attempts.active_job_id = old.id
  FOR UPDATE OF attempts SKIP LOCKED
),
held AS MATERIALIZED (
  SELECT attempts.active_job_id FROM good_job_executions AS attempts
  JOIN old ON attempts.active_job_id = old.id
  WHERE attempts.id NOT IN (SELECT id FROM attempt)
),
execution AS (
  DELETE FROM good_job_executions USING attempt WHERE good_job_executions.id = attempt.id
  RETURNING good_job_executions.id
),
job AS (
  DELETE FROM good_jobs USING old
  WHERE good_jobs.id = old.id AND old.id NOT IN (SELECT active_job_id FROM held)
  RETURNING good_jobs.id
)
SELECT (SELECT count(*) FROM job)::int AS jobs, (SELECT count(*) FROM execution)::int AS executions;
