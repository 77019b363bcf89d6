import { CALLBACK_EVENT, DISCARDING_ATTEMPT, MADE_IN_NODE } from './batch-rows.ts'
import { EXCUSES_OVERLAP, EXCUSES_REPEATED, IS_OVERLAP, IS_REPEATED } from './excuses.ts'

/** Batches that were enqueued and have, or have not, a callback for this event. */
const withCallbacks = (event: string, areThere: boolean) => `
  SELECT id FROM good_job_batches batch WHERE enqueued_at IS NOT NULL AND ${areThere ? '' : 'NOT '}EXISTS (
    SELECT FROM good_jobs WHERE batch_callback_id = batch.id AND ${CALLBACK_EVENT} = '${event}'
  )`

/** Batches that were given a callback for one event more than once. */
const WITH_TOO_MANY = `
  SELECT batch_callback_id AS id FROM good_jobs WHERE batch_callback_id IS NOT NULL
  GROUP BY batch_callback_id, ${CALLBACK_EVENT} HAVING count(*) > 1`

/** Everything known about a few jobs with unexplained results, line by line, for an investigation. */
export const HISTORIES = `
WITH odd AS (
  (SELECT DISTINCT a.job_id FROM fleet_runs a JOIN fleet_runs b ON b.job_id = a.job_id AND (b.started_at, b.id) > (a.started_at, a.id)
  WHERE (${IS_OVERLAP} AND NOT ${EXCUSES_OVERLAP} OR ${IS_REPEATED} AND NOT ${EXCUSES_REPEATED})
  AND NOT (a.side = 'ruby' AND b.side = 'ruby') LIMIT 4)
  UNION
  (SELECT execution.active_job_id FROM good_job_executions execution
  JOIN good_jobs ON good_jobs.id = execution.active_job_id AND good_jobs.finished_at IS NOT NULL
  JOIN fleet_workers worker ON worker.process_id = execution.process_id AND worker.side = 'node'
  WHERE execution.finished_at IS NULL LIMIT 4)
  UNION
  (SELECT id FROM good_jobs WHERE finished_at IS NULL OR error IS NOT NULL LIMIT 4)
  UNION
  SELECT member.id FROM good_jobs member
  JOIN ((${WITH_TOO_MANY} LIMIT 2) UNION (${withCallbacks('success', false)} LIMIT 2) UNION (${withCallbacks('finish', false)} LIMIT 2)
    UNION (${withCallbacks('discard', false)} AND EXISTS (${DISCARDING_ATTEMPT}) LIMIT 2)
    UNION (${withCallbacks('discard', true)} AND NOT EXISTS (${DISCARDING_ATTEMPT}) LIMIT 2)) AS odd_batch ON odd_batch.id = member.batch_id
),
line AS (
  SELECT job_id, started_at AS at, format(
    'run %s by %s, claimed %s, due %s, ended %s %s%s%s%s', executions, worker, claimed_at::time, due_at::time, until::time, outcome,
    CASE WHEN is_recorded THEN ', recorded' END, CASE WHEN met_fault THEN ', lost locks' END, CASE WHEN is_disturbed THEN ', disturbed' END
  ) AS text FROM fleet_runs
  UNION ALL
  SELECT job_id, at, format('operator: %s, done: %s', action, is_done) FROM fleet_actions
  UNION ALL
  SELECT execution.active_job_id, execution.created_at AT TIME ZONE 'UTC', format(
    'execution by %s, finished %s, event %s, %s executions %s', coalesce(worker, process_id::text), finished_at::time, error_event,
    execution.serialized_params->>'executions', left(execution.error, 60)
  ) FROM good_job_executions execution LEFT JOIN fleet_workers USING (process_id)
  UNION ALL
  SELECT member.id, batch.jobs_finished_at AT TIME ZONE 'UTC', format('batch %s: enqueued %s, discarded %s, finished %s', batch.id,
    batch.enqueued_at::time, batch.discarded_at::time, batch.finished_at::time)
  FROM good_jobs member JOIN good_job_batches batch ON batch.id = member.batch_id
  UNION ALL
  SELECT member.id, callback.created_at AT TIME ZONE 'UTC', format('callback %s %s, made in %s, finished %s',
    callback.${CALLBACK_EVENT}, callback.id, CASE WHEN ${MADE_IN_NODE('callback.id')} THEN 'Node' ELSE 'Ruby' END, callback.finished_at::time)
  FROM good_jobs member JOIN good_jobs callback ON callback.batch_callback_id = member.batch_id
  UNION ALL
  SELECT DISTINCT member.id, fault.at, format('fault: %s of %s, over %s', fault.kind, coalesce(fault.worker, 'all'), fault.over_at::time)
  FROM good_jobs member
  JOIN good_job_executions execution ON execution.active_job_id = member.id
  JOIN fleet_workers worker USING (process_id)
  JOIN fleet_faults fault ON fault.worker = worker.worker OR fault.worker IS NULL
  WHERE fault.kind <> 'NOTIFY of garbage'
  AND fault.at AT TIME ZONE 'UTC' BETWEEN execution.created_at - interval '20 seconds' AND execution.created_at + interval '20 seconds'
  UNION ALL
  SELECT good_jobs.id, coalesce(finished_at, good_jobs.updated_at) AT TIME ZONE 'UTC', format(
    'row: finished %s, locked by %s (%s, process row: %s) at %s, lock type %s, performed %s, due %s, updated %s, %s', finished_at::time,
    locked_by_id, coalesce(owner.worker || ' ' || owner.strategy, 'no known worker'),
    EXISTS (SELECT FROM good_job_processes WHERE good_job_processes.id = locked_by_id), locked_at::time, lock_type, performed_at::time,
    scheduled_at::time, good_jobs.updated_at::time, good_jobs.error)
  FROM good_jobs LEFT JOIN fleet_workers owner ON owner.process_id = locked_by_id
)
SELECT job_id::text || E'\\n' || string_agg(format('  %s %s', at::time, text), E'\\n' ORDER BY at) AS text
FROM line JOIN odd USING (job_id) GROUP BY job_id`
