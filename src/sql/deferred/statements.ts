import { candidateOrder } from '../claim/candidates.ts'
import type { ClaimedRow, ClaimOptions } from '../claim/claim.ts'
import { lockedCandidates } from '../claim/locked-candidates.ts'
import { NEXT_EXECUTIONS_COUNT, startJobs } from '../claim/start-jobs.ts'
import { isClaimed } from '../concurrency/claims.ts'
import type { Statement } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import type { OutcomeRow } from '../outcome/outcomes.ts'
import { between, byKey, Parameters, plainArray, prepared, sinceStatementBegan, textArray } from '../text.ts'

/** The columns of each job that a round reads. `locked` must contain all of them, because nothing is read a second time. */
const COLUMNS =
  `id job_class queue_name priority serialized_params labels concurrency_key cron_key batch_id batch_callback_id
  scheduled_at created_at executions_count performed_at`.split(/\s+/)

/**
 * Candidates in GoodJob's order, locked but not started: their row locks last as long as the transaction, their advisory locks as
 * long as the session. To any other worker such a job is taken, like a running one.
 */
const lockJobsText = (facts: Facts, options: ClaimOptions, parameters: Parameters): string => {
  const now = parameters.add(options.now, facts.timestampType)
  return `
WITH ${lockedCandidates(facts, options, parameters, { columns: COLUMNS, now })}
SELECT id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, cron_key, batch_id, batch_callback_id,
  created_at, scheduled_at, ${NEXT_EXECUTIONS_COUNT} AS executions_count, performed_at AS interrupted_at, execution_id, starts_at,
  ${isClaimed(facts, 'locked.id')} AS is_claimed, missing
FROM released
LEFT JOIN locked ON true
ORDER BY ${candidateOrder(options, parameters, 'locked')}`
}

/** Locks up to `limit` jobs inside a transaction of the session that keeps their advisory locks. */
export const lockCandidates = (facts: Facts, options: ClaimOptions): Statement => {
  const parameters = new Parameters()
  const text = lockJobsText(facts, options, parameters)
  return prepared('lock', text, parameters.values)
}

// num_nulls keeps the planner off the indexes of unfinished jobs.
/** $1 now timestamp · $2 process uuid · $3 ids uuid[] · $4 execution ids uuid[] · $5 start of each timestamp[] */
const startLockedText = (facts: Facts): string => `
WITH locked AS MATERIALIZED (
  SELECT good_jobs.id, performed_at, deferred.starts_at, deferred.execution_id
  FROM unnest($3::uuid[], $4::uuid[], $5::${facts.timestampType}[]) AS deferred(id, execution_id, starts_at)
  JOIN good_jobs ON ${byKey('good_jobs.id', 'deferred.id')}
  WHERE num_nulls(finished_at, locked_by_id) = 2
  FOR NO KEY UPDATE OF good_jobs SKIP LOCKED
),
${startJobs(facts, `$1::${facts.timestampType}`, '$2::uuid')}
SELECT id FROM started`

/** The columns of each row that a start reads, in this order. Times are text as Postgres prints it. */
export const ROUND_COLUMNS = ['id', 'execution_id', 'starts_at']

/** Starts locked jobs as a claim does. The caller adds ROUND_COLUMNS of the rows as the last values. */
export const startLockedJobs = (facts: Facts, claim: { readonly now: string; readonly processId: string }): Statement =>
  prepared('start_locked', startLockedText(facts), [claim.now, claim.processId])

/** Starts these locked jobs. */
export const startLockedRows = (
  facts: Facts,
  rows: readonly LockedRow[],
  claim: { readonly now: string; readonly processId: string },
): Statement => {
  const { values = [], ...start } = startLockedJobs(facts, claim)
  const columns = [rows.map(({ id }) => id), rows.map((row) => row.execution_id), rows.map((row) => row.starts_at)]
  return { ...start, values: [...values, ...columns.map(plainArray)] }
}

/** A row of `lockCandidates`: the attempt has begun, but its start is not written. */
export interface LockedRow extends ClaimedRow {
  readonly starts_at: string
  /** True if a concurrency rule of Ruby counts the job, as far as claims show. */
  readonly is_claimed: boolean
}

// Writes the start, the end and the execution row of an attempt in one version of each row. No other session can have changed a row
// in the meantime, so there is no fence.
// $1 id · $2 execution_id · $3 started at · $4 finished_at · $5 duration, seconds · $6 error · $7 error_event · $8 backtrace as
// JSON ·
// $9 process · $10 time of the write
const finishLockedText = ({ timestampType }: Facts): string => `
WITH outcome AS MATERIALIZED (
  SELECT *
  FROM unnest($1::uuid[], $2::uuid[], $3::${timestampType}[], $4::${timestampType}[], $5::float8[], $6::text[], $7::smallint[], $8::text[])
    AS outcome(id, execution_id, starts_at, finished_at, duration, error, error_event, backtrace)
),
finished AS (
  UPDATE good_jobs
  SET performed_at = outcome.starts_at,
      executions_count = ${NEXT_EXECUTIONS_COUNT},
      finished_at = outcome.finished_at,
      error = outcome.error,
      error_event = outcome.error_event,
      updated_at = ${sinceStatementBegan(`$10::${timestampType}`)}
  FROM outcome
  WHERE ${byKey('good_jobs.id', 'outcome.id')}
  RETURNING good_jobs.id, job_class, queue_name, serialized_params, coalesce(scheduled_at, created_at) AS scheduled_at, updated_at,
    outcome.execution_id, outcome.starts_at, outcome.finished_at, outcome.duration, outcome.error, outcome.error_event, outcome.backtrace
)
INSERT INTO good_job_executions
  (id, created_at, updated_at, active_job_id, job_class, queue_name, serialized_params, scheduled_at, process_id, finished_at,
    duration, error, error_event, error_backtrace)
SELECT execution_id, starts_at, ${between('finished_at', 'updated_at')}, id, job_class, queue_name, serialized_params, scheduled_at,
  $9::uuid, finished_at, make_interval(secs => duration), error, error_event,
  CASE WHEN backtrace IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(backtrace::jsonb)) END
FROM finished`

export interface LockedOutcome {
  readonly row: LockedRow
  readonly columns: OutcomeRow
}

/** Finishes jobs whose start was never written; `now` is the time of the write. */
export const finishLockedJobs = (
  facts: Facts,
  outcomes: readonly LockedOutcome[],
  write: { readonly now: string; readonly processId: string },
): Statement =>
  prepared('finish_locked', finishLockedText(facts), [
    plainArray(outcomes.map(({ row }) => row.id)),
    plainArray(outcomes.map(({ row }) => row.execution_id)),
    plainArray(outcomes.map(({ row }) => row.starts_at)),
    plainArray(outcomes.map(({ columns }) => columns.finishedAt)),
    plainArray(outcomes.map(({ columns }) => columns.durationSeconds)),
    textArray(outcomes.map(({ columns }) => columns.error)),
    plainArray(outcomes.map(({ columns }) => columns.errorEvent)),
    textArray(outcomes.map(({ columns: { backtrace } }) => (backtrace === null ? null : JSON.stringify(backtrace)))),
    write.processId,
    write.now,
  ])

/** $1 ids uuid[] */
const DELETE_LOCKED_JOBS = `
WITH deleted AS (
  DELETE FROM good_jobs WHERE id = ANY ($1::uuid[]) RETURNING id
)
DELETE FROM good_job_executions USING deleted WHERE ${byKey('active_job_id', 'deleted.id')}`

/** Deletes jobs that are not preserved, with the executions of earlier attempts. */
export const deleteLockedJobs = (ids: readonly string[]): Statement =>
  prepared('delete_locked_jobs', DELETE_LOCKED_JOBS, [plainArray(ids)])
