import { sleep } from '../../time.ts'
import { jobLockKeySql } from '../advisory-lock.ts'
import { countOf, type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { notifyWaiting } from '../notify.ts'
import { integerIn, priorityIn } from '../stored-hash.ts'
import { sinceStatementBegan } from '../text.ts'

/** The columns of a job that a manual action reads. */
export interface ActionRow {
  readonly id: string
  readonly job_class: string | null
  readonly batch_id: string | null
  readonly batch_callback_id: string | null
  readonly finished_at: string | null
  readonly error: string | null
  /** False if another session holds the job's advisory lock: the job is running. */
  readonly is_lock_free: boolean
}

/** $1 job ids uuid[]. The row is locked first, so that the advisory lock is tried for the newest version of the row. */
const LOCK_JOBS = `
WITH job AS MATERIALIZED (
  SELECT id, job_class, batch_id, batch_callback_id, finished_at, error
  FROM good_jobs
  WHERE id = ANY ($1::uuid[])
  ORDER BY id
  FOR NO KEY UPDATE
)
SELECT job.*, pg_try_advisory_xact_lock(${jobLockKeySql('job.id')}) AS is_lock_free FROM job`

/** $1 job ids uuid[] */
const TRY_LOCKS = `
SELECT id FROM unnest($1::uuid[]) AS id WHERE pg_try_advisory_xact_lock(${jobLockKeySql('id')})`

/** A worker releases a job's lock right after the commit of the outcome; another session may hold it longer. */
const ENDED_LOCK_TRIES = 40
const ENDED_LOCK_PAUSE_MS = 25

/**
 * Locks the rows and, if it is free, the advisory lock of each job until the end of the transaction. If a job has ended, its lock
 * is waited for, up to a second: the worker is about to release it.
 */
export const lockJobsForAction = async (db: Queryable, ids: readonly string[]): Promise<ActionRow[]> => {
  const rows = await rowsOf<ActionRow & Record<string, unknown>>(db, { text: LOCK_JOBS, values: [ids] })
  const ending = new Set(rows.filter((job) => !job.is_lock_free && job.finished_at !== null).map(({ id }) => id))
  const taken = new Set<string>()
  for (let tries = 1; ending.size > 0 && tries <= ENDED_LOCK_TRIES; tries++) {
    await sleep(ENDED_LOCK_PAUSE_MS)
    for (const { id } of await rowsOf<{ id: string }>(db, { text: TRY_LOCKS, values: [[...ending]] })) {
      ending.delete(id)
      taken.add(id)
    }
  }
  return rows.map((job) => (taken.has(job.id) ? { ...job, is_lock_free: true } : job))
}

/** $1 job ids uuid[] */
const FIND_BATCH_IDS = `
SELECT DISTINCT batch FROM good_jobs, unnest(ARRAY[batch_id, batch_callback_id]) AS batch
WHERE good_jobs.id = ANY ($1::uuid[]) AND batch IS NOT NULL`

/** The batches that these jobs belong to or are callbacks of; their locks are taken before the rows are. */
export const findBatchIdsOfJobs = async (db: Queryable, ids: readonly string[]): Promise<string[]> => {
  const rows = await rowsOf<{ batch: string }>(db, { text: FIND_BATCH_IDS, values: [ids] })
  return rows.map(({ batch }) => batch)
}

/**
 * Makes discarded jobs wait again. GoodJob job.rb#retry_job: the hash counts one execution more, queue and priority come from the
 * hash, the error stays until the next attempt ends. Only the keys that change are rewritten, so unknown keys survive.
 *
 * $1 ids uuid[] · $2 now timestamp · $3 keys of the hash to replace jsonb · $4 is_notified bool · $5 scheduled_at timestamp
 */
const retryJobsText = (facts: Facts, keepsCreatedAt: boolean) => `
WITH waiting AS (
  UPDATE good_jobs
  SET serialized_params = CASE WHEN jsonb_typeof(serialized_params) = 'object'
        THEN serialized_params || $3::jsonb || jsonb_build_object(
          'executions', coalesce(${integerIn('serialized_params', 'executions')}, 0) + 1,
          'provider_job_id', id::text)
        ELSE serialized_params
      END,
      queue_name = coalesce(nullif(serialized_params->>'queue_name', ''), 'default'),
      priority = ${priorityIn('serialized_params', 'coalesce(priority, 0)')},
      scheduled_at = $5::${facts.timestampType},
      ${keepsCreatedAt ? '' : `created_at = $2::${facts.timestampType},`}
      performed_at = NULL,
      finished_at = NULL,
      error_event = 3,
      updated_at = ${sinceStatementBegan(`$2::${facts.timestampType}`)}
  WHERE id = ANY ($1::uuid[]) AND finished_at IS NOT NULL AND error IS NOT NULL
  RETURNING id, queue_name, scheduled_at
),${notifyWaiting(facts, '$4::bool')}
SELECT id, (SELECT count(*) FROM notified)::int AS messages FROM waiting`

export interface RetryJobsOptions {
  readonly now: string
  readonly scheduledAt: string
  /** Top-level keys to replace, as JSON text. */
  readonly keys: string
  readonly keepsCreatedAt: boolean
  readonly isNotified: boolean
}

/** Makes discarded jobs wait again and notifies the workers; returns the ids that were discarded. */
export const retryJobs = async (
  db: Queryable,
  facts: Facts,
  ids: readonly string[],
  options: RetryJobsOptions,
): Promise<string[]> => {
  const { now, scheduledAt, keys, keepsCreatedAt, isNotified } = options
  const rows = await rowsOf<{ id: string }>(db, {
    text: retryJobsText(facts, keepsCreatedAt),
    values: [ids, now, keys, isNotified, scheduledAt],
  })
  return rows.map(({ id }) => id)
}

/**
 * Unfinished jobs end as discarded, and their open executions with them. GoodJob 4.20 job.rb#discard_job: event 5, wall-clock
 * duration, no new execution.
 *
 * $1 ids uuid[] · $2 now timestamp · $3 error text
 */
const discardJobsText = ({ timestampType }: Facts) => `
WITH discarded AS (
  UPDATE good_jobs
  SET finished_at = $2::${timestampType}, error = $3, error_event = 5, updated_at = ${sinceStatementBegan(`$2::${timestampType}`)}
  WHERE id = ANY ($1::uuid[]) AND finished_at IS NULL
  RETURNING id
),
closed AS (
  UPDATE good_job_executions
  SET finished_at = $2::${timestampType}, error = $3, error_event = 5,
      duration = greatest($2::${timestampType} - created_at, interval '0'),
      updated_at = ${sinceStatementBegan(`$2::${timestampType}`)}
  FROM discarded
  WHERE active_job_id = discarded.id AND good_job_executions.finished_at IS NULL
)
SELECT id FROM discarded`

/** Discards unfinished jobs; returns the ids that were unfinished. */
export const discardJobs = async (
  db: Queryable,
  facts: Facts,
  ids: readonly string[],
  { now, error }: { readonly now: string; readonly error: string },
): Promise<string[]> => {
  const rows = await rowsOf<{ id: string }>(db, { text: discardJobsText(facts), values: [ids, now, error] })
  return rows.map(({ id }) => id)
}

/** $1 ids uuid[] · $2 start timestamp · $3 now timestamp */
const RESCHEDULE_JOBS =
  'UPDATE good_jobs SET scheduled_at = $2, updated_at = $3 WHERE id = ANY ($1::uuid[]) AND finished_at IS NULL'

/** Moves the start of unfinished jobs. Like GoodJob, sends no notification. */
export const rescheduleJobs = (db: Queryable, ids: readonly string[], startsAt: string, now: string): Promise<number> =>
  countOf(db, { text: RESCHEDULE_JOBS, values: [ids, startsAt, now] })

/** $1 ids uuid[] */
const DESTROY_JOBS = `
WITH destroyed AS (
  DELETE FROM good_jobs WHERE id = ANY ($1::uuid[]) AND finished_at IS NOT NULL RETURNING id
),
execution AS (
  DELETE FROM good_job_executions USING destroyed WHERE active_job_id = destroyed.id
)
SELECT id FROM destroyed`

/** Deletes finished jobs with their executions. */
export const destroyJobs = (db: Queryable, ids: readonly string[]): Promise<number> =>
  countOf(db, { text: DESTROY_JOBS, values: [ids] })

/** $1 batch uuid */
const BROKEN_MEMBERS = `
SELECT id FROM good_jobs WHERE batch_id = $1 AND finished_at IS NOT NULL AND error IS NOT NULL ORDER BY id`

/** $1 batch uuid */
const OPEN_MEMBERS = 'SELECT id FROM good_jobs WHERE batch_id = $1 AND finished_at IS NULL ORDER BY id'

const idsOf = async (db: Queryable, text: string, batchId: string): Promise<string[]> =>
  (await rowsOf<{ id: string }>(db, { text, values: [batchId] })).map(({ id }) => id)

export const findBrokenMembers = (db: Queryable, batchId: string): Promise<string[]> =>
  idsOf(db, BROKEN_MEMBERS, batchId)
export const findOpenMembers = (db: Queryable, batchId: string): Promise<string[]> => idsOf(db, OPEN_MEMBERS, batchId)

/** $1 batch ids uuid[] · $2 now. The batch runs again: with finished_at set, it could be cleaned up while its members run. */
const REOPEN_BATCHES = `
UPDATE good_job_batches SET finished_at = NULL, updated_at = $2
WHERE id = ANY ($1::uuid[]) AND finished_at IS NOT NULL AND jobs_finished_at IS NOT NULL`

/** Clears finished_at of batches whose jobs run again; without jobs_finished_at that column has another meaning and stays. */
export const reopenBatches = async (
  db: Queryable,
  facts: Facts,
  ids: readonly string[],
  now: string,
): Promise<void> => {
  if (facts.hasJobsFinishedAt && ids.length > 0) await countOf(db, { text: REOPEN_BATCHES, values: [ids, now] })
}
