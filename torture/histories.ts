import { EXCUSES_OVERLAP, EXCUSES_REPEATED, IS_OVERLAP, IS_REPEATED } from './excuses.ts'

/** All that is known of a few jobs that something unexplained happened to, line by line, for whoever looks into it. */
export const HISTORIES = `
WITH odd AS (
  SELECT DISTINCT a.job_id FROM fleet_runs a JOIN fleet_runs b ON b.job_id = a.job_id AND (b.started_at, b.id) > (a.started_at, a.id)
  WHERE (${IS_OVERLAP} AND NOT ${EXCUSES_OVERLAP} OR ${IS_REPEATED} AND NOT ${EXCUSES_REPEATED})
  AND NOT (a.side = 'ruby' AND b.side = 'ruby')
  UNION
  SELECT execution.active_job_id FROM good_job_executions execution
  JOIN good_jobs ON good_jobs.id = execution.active_job_id AND good_jobs.finished_at IS NOT NULL
  JOIN fleet_workers worker ON worker.process_id = execution.process_id AND worker.side = 'node'
  WHERE execution.finished_at IS NULL
  UNION
  SELECT id FROM good_jobs WHERE finished_at IS NULL OR error IS NOT NULL
  UNION
  SELECT member.id FROM good_job_batches batch JOIN good_jobs member ON member.batch_id = batch.id
  WHERE NOT EXISTS (SELECT FROM good_jobs WHERE batch_callback_id = batch.id AND serialized_params #>> '{arguments,1,event,value}' = 'finish')
  UNION
  SELECT member.id FROM good_job_batches batch JOIN good_jobs member ON member.batch_id = batch.id
  WHERE EXISTS (
    SELECT FROM good_jobs JOIN good_job_executions e ON e.active_job_id = good_jobs.id
    WHERE good_jobs.batch_id = batch.id AND e.error IS NOT NULL AND e.error_event IN (1, 5)
  )
  AND NOT EXISTS (SELECT FROM good_jobs WHERE batch_callback_id = batch.id AND serialized_params #>> '{arguments,1,event,value}' = 'discard')
  LIMIT 8
),
line AS (
  SELECT job_id, started_at AS at, format(
    'body %s by %s, claimed %s, due %s, ended %s %s%s%s%s', executions, worker, claimed_at::time, due_at::time, until::time, outcome,
    CASE WHEN is_recorded THEN ', recorded' END, CASE WHEN met_fault THEN ', lost locks' END, CASE WHEN is_disturbed THEN ', disturbed' END
  ) AS text FROM fleet_runs
  UNION ALL
  SELECT job_id, at, 'operator: ' || action FROM fleet_actions
  UNION ALL
  SELECT execution.active_job_id, execution.created_at AT TIME ZONE 'UTC', format(
    'execution by %s, finished %s, event %s %s', coalesce(worker, process_id::text), finished_at::time, error_event, left(execution.error, 60)
  ) FROM good_job_executions execution LEFT JOIN fleet_workers USING (process_id)
  UNION ALL
  SELECT member.id, batch.jobs_finished_at AT TIME ZONE 'UTC', format('batch %s: enqueued %s, discarded %s, finished %s', batch.id,
    batch.enqueued_at::time, batch.discarded_at::time, batch.finished_at::time)
  FROM good_jobs member JOIN good_job_batches batch ON batch.id = member.batch_id
  UNION ALL
  SELECT DISTINCT member.id, fault.at, format('fault: %s of %s, over %s', fault.kind, coalesce(fault.worker, 'all'), fault.over_at::time)
  FROM good_jobs member
  JOIN good_job_executions execution ON execution.active_job_id = member.id
  JOIN fleet_workers worker USING (process_id)
  JOIN fleet_faults fault ON fault.worker = worker.worker OR fault.worker IS NULL
  WHERE fault.at AT TIME ZONE 'UTC' BETWEEN execution.created_at - interval '60 seconds' AND execution.created_at + interval '60 seconds'
  UNION ALL
  SELECT id, coalesce(finished_at, updated_at) AT TIME ZONE 'UTC', format('row: finished %s, locked by %s, %s', finished_at::time, locked_by_id, error) FROM good_jobs
)
SELECT job_id::text || E'\\n' || string_agg(format('  %s %s', at::time, text), E'\\n' ORDER BY at) AS text
FROM line JOIN odd USING (job_id) GROUP BY job_id`
