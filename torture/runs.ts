import type { Pool } from 'pg'

/** Finds the rows of each attempt in the ledger; call it once, when everything has ended. */
export const prepareRuns = async (pool: Pool): Promise<void> => {
  await pool.query([CREATE_RUNS, INDEX_RUNS, ...DISTURBANCES, 'ANALYZE'].join(';'))
}

/** When an outcome was committed, which may be long after the moment that it bears; only the torture's own server remembers it. */
const COMMITTED_AT = `CASE WHEN current_setting('track_commit_timestamp') = 'on' THEN pg_xact_commit_timestamp(e.xmin) END`

/**
 * The execution row of an attempt `a`: the last that its worker began for the job before the attempt did. If an earlier attempt already
 * has that row, this one has none, as its round was rolled back.
 */
const EXECUTION = `
  SELECT e.*, coalesce(${COMMITTED_AT}, e.finished_at AT TIME ZONE 'UTC') AS committed_at FROM good_job_executions e
  WHERE e.active_job_id = a.job_id AND e.process_id = worker.process_id AND e.created_at AT TIME ZONE 'UTC' <= a.started_at
  AND NOT EXISTS (
    SELECT FROM fleet_attempts earlier
    WHERE earlier.job_id = a.job_id AND earlier.worker = a.worker
    AND earlier.started_at >= e.created_at AT TIME ZONE 'UTC' AND earlier.started_at < a.started_at
  )
  ORDER BY e.created_at DESC LIMIT 1`

/** An attempt lasts until its end in the ledger, or until its worker died. */
const UNTIL = `coalesce(least(a.ended_at, death.at), 'infinity')`

/** The execution row bears the time of the claim; an attempt without one was claimed at most this long before it began. */
const CLAIMED_AT = `coalesce(execution.created_at AT TIME ZONE 'UTC', a.started_at - interval '30 seconds')`

/** An outcome was written: the row has ended, and neither as interrupted (0) nor as discarded (5), which another process may write. */
const IS_RECORDED = `coalesce(execution.finished_at IS NOT NULL AND execution.error_event IS DISTINCT FROM 0 AND execution.error_event IS DISTINCT FROM 5, false)`

/** A fault that can take locks met the worker of an attempt `a`, or all workers, between two moments. */
const lostLocks = (from: string, to: string): string => `EXISTS (
    SELECT FROM fleet_faults fault
    WHERE takes_locks AND (fault.worker = a.worker OR fault.worker IS NULL)
    AND coalesce(fault.over_at, 'infinity') >= ${from}
    AND fault.at <= ${to}
  )`

/** Each attempt of the ledger with its execution row: when it was claimed, until when it ran, whether its outcome was written. */
const CREATE_RUNS = `
CREATE TABLE fleet_runs AS
SELECT a.*, ${UNTIL} AS until,
  ${CLAIMED_AT} AS claimed_at,
  ${IS_RECORDED} AS is_recorded,
  coalesce(execution.finished_at IS NOT NULL AND execution.error IS NULL, false) AS is_success,
  execution.finished_at AT TIME ZONE 'UTC' AS written_at,
  execution.scheduled_at AT TIME ZONE 'UTC' AS row_due_at,
  execution.committed_at,
  ${lostLocks(CLAIMED_AT, UNTIL)} AS met_fault,
  ${lostLocks(`execution.created_at AT TIME ZONE 'UTC'`, 'execution.committed_at')} AS lost_lock_before_commit
FROM fleet_attempts a
JOIN fleet_workers worker USING (worker)
LEFT JOIN fleet_deaths death USING (worker)
LEFT JOIN LATERAL (${EXECUTION}) AS execution ON true`

const INDEX_RUNS = `
CREATE INDEX ON fleet_runs (job_id);
ALTER TABLE fleet_runs ADD COLUMN is_disturbed boolean NOT NULL DEFAULT false`

const DISTURBED = 'UPDATE fleet_runs a SET is_disturbed = true'
const DROPPED_BY_NODE = `side = 'node' AND NOT is_recorded`

/** Two attempts of Ruby ran at the same time: the first to end releases the job while the other still runs. */
const RUBY_BESIDE_RUBY = `
${DISTURBED}
WHERE side = 'ruby' AND EXISTS (
  SELECT FROM fleet_runs b
  WHERE b.job_id = a.job_id AND b.id <> a.id AND b.side = 'ruby' AND b.started_at < a.until AND a.started_at < b.until
)`

/** Such an attempt of Ruby wrote over the claim of Node, which then dropped its outcome. */
const NODE_AFTER_DISTURBED_RUBY = `
${DISTURBED}
WHERE ${DROPPED_BY_NODE} AND EXISTS (
  SELECT FROM fleet_runs b
  WHERE b.job_id = a.job_id AND b.is_disturbed AND b.side = 'ruby' AND b.started_at < a.started_at AND a.claimed_at < b.until
)`

/**
 * A Ruby worker that had the job before and met a fault since wrote over the claim of Node, which then dropped its outcome: Ruby writes
 * an outcome however late, without asking whether the job is still its own.
 */
const NODE_AFTER_LATE_RUBY = `
${DISTURBED}
WHERE ${DROPPED_BY_NODE} AND EXISTS (
  SELECT FROM fleet_runs late JOIN fleet_faults fault ON fault.worker = late.worker OR fault.worker IS NULL
  WHERE late.job_id = a.job_id AND late.side = 'ruby' AND late.started_at < a.started_at
  AND late.written_at > late.until + interval '1 second' AND late.written_at >= a.claimed_at - interval '1 second'
  AND fault.at <= late.written_at AND coalesce(fault.over_at, 'infinity') >= late.started_at
)`

/** Marks attempts whose job Ruby disturbed; the second statement uses the marks of the first. */
const DISTURBANCES = [RUBY_BESIDE_RUBY, NODE_AFTER_DISTURBED_RUBY, NODE_AFTER_LATE_RUBY]
