import { freesPlace } from '../concurrency/claims.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { notifyWaiting } from '../notify.ts'
import { between, byKey, plainArray, prepared, sinceStatementBegan, textArray } from '../text.ts'
import { type ClaimRef, FENCE } from './fence.ts'

/** How an attempt ended, as columns. */
export interface OutcomeRow extends ClaimRef {
  readonly finishedAt: string
  readonly durationSeconds: number
  readonly error: string | null
  readonly errorEvent: number | null
  readonly backtrace: readonly string[] | null
}

/** The row a job becomes when it will run again. */
export interface ReenqueueRow extends OutcomeRow {
  readonly serializedParams: string
  readonly jobClass: string
  readonly queueName: string
  readonly priority: number
  readonly scheduledAt: string
  readonly createdAt: string
  readonly labels: readonly string[] | null
  readonly isNotified: boolean
}

// $1 id · $2 locked_at · $3 execution_id · $4 finished_at · $5 duration, seconds · $6 error · $7 error_event ·
// $8 backtrace as JSON · $9 process · $10 time of the write
const outcomeSource = ({ timestampType }: Facts, more = '', moreColumns = '') => `
  SELECT *
  FROM unnest($1::uuid[], $2::${timestampType}[], $3::uuid[], $4::${timestampType}[], $5::float8[], $6::text[], $7::smallint[], $8::text[]${more})
    AS outcome(id, locked_at, execution_id, finished_at, duration, error, error_event, backtrace${moreColumns})`

const unlock = (facts: Facts) => `locked_by_id = NULL, locked_at = NULL${facts.hasLockType ? ', lock_type = NULL' : ''}`

const writtenAt = ({ timestampType }: Facts) => sinceStatementBegan(`$10::${timestampType}`)

/** The columns of a written job that are returned, including those that show whether it was limited. */
const WRITTEN = 'good_jobs.id, good_jobs.batch_id, good_jobs.labels, good_jobs.concurrency_key'

/** The columns of a written job that closeExecutions reads; passed on, because joining two lists of jobs again costs their product. */
const ATTEMPT =
  'outcome.execution_id, outcome.finished_at, outcome.duration, outcome.error, outcome.error_event, outcome.backtrace'

// GoodJob saves the execution after the end of the attempt and before the job.
const closeExecutions = (written: string) => `
  UPDATE good_job_executions
  SET finished_at = ${written}.finished_at,
      duration = make_interval(secs => ${written}.duration),
      error = ${written}.error,
      error_event = ${written}.error_event,
      error_backtrace = CASE WHEN ${written}.backtrace IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(${written}.backtrace::jsonb)) END,
      updated_at = ${between(`${written}.finished_at`, `${written}.updated_at`)}
  FROM ${written}
  WHERE ${byKey('good_job_executions.id', `${written}.execution_id`)}`

const finishJobsText = (facts: Facts) => `
WITH outcome AS MATERIALIZED (${outcomeSource(facts)}
),
finished AS (
  UPDATE good_jobs
  SET finished_at = outcome.finished_at, error = outcome.error, error_event = outcome.error_event, ${unlock(facts)},
      updated_at = ${writtenAt(facts)}
  FROM outcome
  WHERE ${FENCE}
  RETURNING ${WRITTEN}, good_jobs.updated_at, ${ATTEMPT}
),
closed AS (${closeExecutions('finished')}
)
SELECT id, batch_id, ${freesPlace(facts, 'finished')} AS frees_place FROM finished`

// retry_on_unhandled_error: waiting again at once; schedule, creation time and parameters stay. GoodJob 4.23.1 job.rb#perform.
const rerunJobsText = (facts: Facts) => `
WITH outcome AS MATERIALIZED (${outcomeSource(facts)}
),
waiting AS (
  UPDATE good_jobs
  SET performed_at = NULL, error = outcome.error, error_event = outcome.error_event, ${unlock(facts)}, updated_at = ${writtenAt(facts)}
  FROM outcome
  WHERE ${FENCE}
  RETURNING ${WRITTEN}, good_jobs.updated_at, ${ATTEMPT}
),
closed AS (${closeExecutions('waiting')}
)
SELECT id, batch_id, ${freesPlace(facts, 'waiting')} AS frees_place FROM waiting`

const deleteJobsText = (facts: Facts) => `
WITH outcome AS MATERIALIZED (${outcomeSource(facts)}
),
deleted AS (
  DELETE FROM good_jobs USING outcome
  WHERE ${FENCE}
  RETURNING ${WRITTEN}
),
execution AS (
  DELETE FROM good_job_executions USING deleted WHERE ${byKey('active_job_id', 'deleted.id')}
)
SELECT id, batch_id, ${freesPlace(facts, 'deleted')} AS frees_place FROM deleted`

// $11 serialized_params · $12 job_class · $13 queue_name · $14 priority · $15 scheduled_at · $16 created_at ·
// $17 labels as JSON · $18 is_notified
const reenqueueJobsText = (facts: Facts, keepsCreatedAt: boolean) => `
WITH outcome AS MATERIALIZED (${outcomeSource(
  facts,
  `, $11::text[], $12::text[], $13::text[], $14::int[], $15::${facts.timestampType}[], $16::${facts.timestampType}[], $17::text[], $18::bool[]`,
  ', serialized_params, job_class, queue_name, priority, scheduled_at, created_at, labels, is_notified',
)}
),
waiting AS (
  UPDATE good_jobs
  SET serialized_params = outcome.serialized_params::jsonb,
      job_class = outcome.job_class,
      queue_name = outcome.queue_name,
      priority = outcome.priority,
      scheduled_at = outcome.scheduled_at,
      labels = CASE WHEN outcome.labels IS NULL THEN good_jobs.labels ELSE ARRAY(SELECT jsonb_array_elements_text(outcome.labels::jsonb)) END,
      ${keepsCreatedAt ? '' : 'created_at = outcome.created_at,'}
      performed_at = NULL, error = outcome.error, error_event = outcome.error_event, ${unlock(facts)}, updated_at = ${writtenAt(facts)}
  FROM outcome
  WHERE ${FENCE}
  RETURNING ${WRITTEN}, good_jobs.updated_at, ${ATTEMPT}, outcome.queue_name, outcome.scheduled_at, outcome.is_notified
),
closed AS (${closeExecutions('waiting')}
),${notifyWaiting(facts, 'is_notified')}
SELECT id, batch_id, ${freesPlace(facts, 'waiting')} AS frees_place, (SELECT count(*) FROM notified)::int AS messages FROM waiting`

const outcomeValues = (processId: string, outcomes: readonly OutcomeRow[]): unknown[] => [
  plainArray(outcomes.map(({ id }) => id)),
  plainArray(outcomes.map(({ lockedAt }) => lockedAt)),
  plainArray(outcomes.map(({ executionId }) => executionId)),
  plainArray(outcomes.map(({ finishedAt }) => finishedAt)),
  plainArray(outcomes.map(({ durationSeconds }) => durationSeconds)),
  textArray(outcomes.map(({ error }) => error)),
  plainArray(outcomes.map(({ errorEvent }) => errorEvent)),
  textArray(outcomes.map(({ backtrace }) => (backtrace === null ? null : JSON.stringify(backtrace)))),
  processId,
]

/** A row that was written, and its current batch: a job may join a batch while it runs. */
export interface WrittenRow {
  readonly id: string
  readonly batch_id: string | null
  /** A concurrency rule of Ruby counted this job, and its place is free now. */
  readonly frees_place: boolean
}

const write = (db: Queryable, kind: string, text: string, values: unknown[]): Promise<WrittenRow[]> =>
  rowsOf<WrittenRow & Record<string, unknown>>(db, prepared(kind, text, values))

/** The process that writes outcomes, and the time as ISO text. */
export interface Writer {
  readonly processId: string
  readonly now: string
}

type WriteOutcomes = (
  db: Queryable,
  facts: Facts,
  writer: Writer,
  outcomes: readonly OutcomeRow[],
) => Promise<WrittenRow[]>

/** Writes terminal outcomes; returns the rows whose claim still belonged to this process. */
export const finishJobs: WriteOutcomes = (db, facts, writer, outcomes) =>
  write(db, 'finish_jobs', finishJobsText(facts), [...outcomeValues(writer.processId, outcomes), writer.now])

/** Makes jobs wait again after an unhandled error; returns the rows whose claim still belonged to this process. */
export const rerunJobs: WriteOutcomes = (db, facts, writer, outcomes) =>
  write(db, 'rerun_jobs', rerunJobsText(facts), [...outcomeValues(writer.processId, outcomes), writer.now])

/** Deletes jobs that are not preserved, with their executions; returns the rows whose claim still belonged to this process. */
export const deleteJobs: WriteOutcomes = (db, facts, writer, outcomes) =>
  write(db, 'delete_jobs', deleteJobsText(facts), outcomeValues(writer.processId, outcomes))

/** Writes jobs that will run again and notifies the workers; returns the rows whose claim still belonged to this process. */
export const reenqueueJobs = (
  db: Queryable,
  facts: Facts,
  writer: Writer,
  outcomes: readonly ReenqueueRow[],
  options: { readonly keepsCreatedAt: boolean },
): Promise<WrittenRow[]> => {
  const values = [
    ...outcomeValues(writer.processId, outcomes),
    writer.now,
    outcomes.map((row) => row.serializedParams),
    outcomes.map((row) => row.jobClass),
    outcomes.map((row) => row.queueName),
    outcomes.map((row) => row.priority),
    outcomes.map((row) => row.scheduledAt),
    outcomes.map((row) => row.createdAt),
    outcomes.map((row) => (row.labels === null ? null : JSON.stringify(row.labels))),
    outcomes.map((row) => row.isNotified),
  ]
  return write(db, 'reenqueue_jobs', reenqueueJobsText(facts, options.keepsCreatedAt), values)
}

/** What became of a claim whose outcome found no row to write. */
export interface UnwrittenClaim {
  readonly id: string
  /** Another session finished the job while it ran (force-discard). The lock columns still belonged to the claim and are now released. */
  readonly isReleased: boolean
  /** The job does not exist (any more). */
  readonly isGone: boolean
  /** The end of the attempt as an earlier write stored it, whose result was lost. */
  readonly executionFinishedAt: string | null
  /** The batch that the job is a member of now. */
  readonly batchId: string | null
}

// $1 id uuid[] · $2 locked_at timestamp[] · $3 execution_id uuid[] · $4 process uuid
const releaseClaimsText = (facts: Facts) => `
WITH claimed AS MATERIALIZED (
  SELECT id, locked_at, execution_id FROM unnest($1::uuid[], $2::${facts.timestampType}[], $3::uuid[]) AS claimed(id, locked_at, execution_id)
),
released AS (
  UPDATE good_jobs
  SET ${unlock(facts)}
  FROM claimed
  WHERE good_jobs.id = claimed.id AND good_jobs.locked_by_id = $4::uuid AND good_jobs.locked_at = claimed.locked_at
  RETURNING good_jobs.id, good_jobs.finished_at, good_jobs.error
),
closed AS (
  UPDATE good_job_executions
  SET finished_at = released.finished_at, error = released.error, error_event = 5,
      duration = greatest(released.finished_at - good_job_executions.created_at, interval '0'), updated_at = released.finished_at
  FROM released
  JOIN claimed ON claimed.id = released.id
  WHERE good_job_executions.id = claimed.execution_id
    AND good_job_executions.finished_at IS NULL
    AND released.finished_at IS NOT NULL
)
SELECT claimed.id, released.id IS NOT NULL AS is_released, good_jobs.id IS NULL AS is_gone,
  good_job_executions.finished_at AS execution_finished_at, good_jobs.batch_id
FROM claimed
LEFT JOIN good_jobs ON good_jobs.id = claimed.id
LEFT JOIN released ON released.id = claimed.id
LEFT JOIN good_job_executions ON good_job_executions.id = claimed.execution_id`

/**
 * Clears the lock columns of claims that still belong to this process, whatever state the jobs are in, and returns what became of
 * each. A job that was finished meanwhile stays finished and its attempt is closed with it; an unfinished job will run again as
 * interrupted.
 */
export const releaseClaims = async (
  db: Queryable,
  facts: Facts,
  processId: string,
  claims: readonly ClaimRef[],
): Promise<UnwrittenClaim[]> => {
  const values = [
    claims.map(({ id }) => id),
    claims.map(({ lockedAt }) => lockedAt),
    claims.map(({ executionId }) => executionId),
    processId,
  ]
  const rows = await rowsOf<{
    id: string
    is_released: boolean
    is_gone: boolean
    execution_finished_at: string | null
    batch_id: string | null
  }>(db, {
    text: releaseClaimsText(facts),
    values,
  })
  return rows.map((row) => ({
    id: row.id,
    isReleased: row.is_released,
    isGone: row.is_gone,
    executionFinishedAt: row.execution_finished_at,
    batchId: row.batch_id,
  }))
}
