import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { integerIn } from '../stored-hash.ts'
import type { LockedBatch } from './check.ts'

/** What the history says about a discarded batch in which nothing is open or broken. */
export interface BatchHistory {
  /** The member whose attempt discarded the batch, or any other that started after that, has succeeded since. */
  readonly has_success_since: boolean
  /** The attempt that discarded the batch belongs to a member that is there. */
  readonly has_breaking_attempt: boolean
  /** That very member has succeeded in a later attempt. */
  readonly has_mended_member: boolean
  /**
   * A member that is there was discarded by hand: its later attempt counts more executions than it had attempts. Those that were
   * interrupted do not raise the count.
   */
  readonly has_manual_discard: boolean
  /** A member that is there is discarded by hand, or was and waits again: a retry keeps the text until the attempt has ended. */
  readonly has_discarded_member: boolean
  /** The success callback of this arming exists already. */
  readonly has_success_callback: boolean
}

/** A retry by hand moves the time in the row. */
export const CALLBACK_CREATED_AT = `least(callback.created_at,
        (SELECT min(attempt.created_at) FROM good_job_executions AS attempt WHERE attempt.active_job_id = callback.id))`

/**
 * Whether the success callback of this arming exists: it is not older than the end of its jobs, give or take the clocks of two
 * processes, and not older than the arming itself: the stage before may have ended a moment ago. An arming that is later than the end of
 * its jobs was stamped by a clock that is ahead: then their end counts, which the process has stamped that calls for it.
 */
export const successCallback = (batch: {
  readonly batchId: string
  readonly jobsFinishedAt: string
  readonly enqueuedAt: string
}) => `EXISTS (
    SELECT 1 FROM good_jobs AS callback
    WHERE callback.batch_callback_id = ${batch.batchId}
      AND callback.serialized_params #>> '{arguments,1,event,value}' = 'success'
      AND ${CALLBACK_CREATED_AT}
        >= greatest(${batch.jobsFinishedAt} - interval '1 second', least(${batch.enqueuedAt}, ${batch.jobsFinishedAt}))
  )`

/** How often a job had been counted when an attempt began. Only retries raise it: an order of attempts that no clock decides. */
const countOf = (attempt: string) => integerIn(`${attempt}.serialized_params`, 'executions')

/**
 * The attempt of a member that is there which discarded the batch: the last one that broke its job before. Whoever stamps a batch does so
 * by the clock that ended the attempt: this project with that very time, Ruby a moment later in another transaction, so "before" is a
 * few seconds. An attempt that was interrupted (event 0) or retried (3) broke nothing, nor did one that an unhandled error (1) ended with
 * retry_on_unhandled_error: another attempt has the same count, which a retry by hand would have raised, and succeeded or came later. (So
 * has one that ran beside it, as Ruby workers of different lock strategies make them.)
 */
const breakingAttempt = ({ timestampType }: Facts) => `
  SELECT job.id AS job_id, attempt.finished_at AS broken_at, ${countOf('attempt')} AS executions
  FROM good_jobs AS job JOIN good_job_executions AS attempt ON attempt.active_job_id = job.id
  WHERE job.batch_id = $1 AND attempt.error IS NOT NULL AND coalesce(attempt.error_event, 1) NOT IN (0, 3)
    AND attempt.finished_at <= $2::${timestampType} AND attempt.finished_at > $2::${timestampType} - interval '5 seconds'
    AND (attempt.error_event <> 1 OR attempt.finished_at = $2::${timestampType} OR NOT (
      EXISTS (
        SELECT 1 FROM good_job_executions AS other
        WHERE other.active_job_id = job.id AND other.id <> attempt.id AND other.error_event IS DISTINCT FROM 0
          AND other.serialized_params->>'executions' IS NOT DISTINCT FROM attempt.serialized_params->>'executions'
          AND (other.created_at >= attempt.finished_at OR (other.finished_at IS NOT NULL AND other.error IS NULL))
      )
      OR (job.finished_at IS NULL
        AND job.serialized_params->>'executions' IS NOT DISTINCT FROM attempt.serialized_params->>'executions')
    ))
  ORDER BY attempt.finished_at DESC
  LIMIT 1`

/**
 * The member that discarded the batch has succeeded since: in an attempt of a higher count, whatever the clocks of the two hosts say.
 *
 * Unless the batch was discarded by that attempt once before, and by another one now: then it has a discard callback from before the
 * stamp of now (by the clock of whoever stamped it then, which ended the attempt, too). A batch that calls nobody for a discard shows
 * that, less surely, by any callback; a success that began after the stamp of now outweighs it.
 */
const mendedMember = ({ timestampType }: Facts) => `
  SELECT 1 FROM breaking
  JOIN good_jobs AS job ON job.id = breaking.job_id AND job.finished_at IS NOT NULL AND job.error IS NULL
  JOIN good_job_executions AS mending ON mending.active_job_id = job.id
  WHERE mending.finished_at IS NOT NULL AND mending.error IS NULL
    AND (${countOf('mending')} > breaking.executions OR mending.created_at > $2::${timestampType})
    AND NOT EXISTS (
      SELECT 1 FROM good_jobs AS callback
      WHERE callback.batch_callback_id = $1
        AND CASE WHEN $5::boolean THEN callback.serialized_params #>> '{arguments,1,event,value}' = 'discard'
          ELSE mending.created_at <= $2::${timestampType} END
        AND ${CALLBACK_CREATED_AT} >= breaking.broken_at AND ${CALLBACK_CREATED_AT} < $2::${timestampType}
    )`

/** $1 batch uuid · $2 discarded_at timestamp · $3 end of the arming's jobs, or null · $4 enqueued_at timestamp · $5 calls somebody for a discard */
const readBatchHistory = (facts: Facts) => `
WITH breaking AS MATERIALIZED (${breakingAttempt(facts)}
),
mended AS MATERIALIZED (${mendedMember(facts)}
)
SELECT
  EXISTS (SELECT 1 FROM mended) OR EXISTS (
    SELECT 1 FROM good_jobs AS job JOIN good_job_executions AS attempt ON attempt.active_job_id = job.id
    WHERE job.batch_id = $1 AND job.finished_at IS NOT NULL AND job.error IS NULL
      AND attempt.finished_at IS NOT NULL AND attempt.error IS NULL AND attempt.created_at > $2::${facts.timestampType}
  ) AS has_success_since,
  EXISTS (SELECT 1 FROM breaking) AS has_breaking_attempt,
  EXISTS (SELECT 1 FROM mended) AS has_mended_member,
  EXISTS (
    SELECT 1 FROM good_jobs AS job JOIN good_job_executions AS attempt ON attempt.active_job_id = job.id
    WHERE job.batch_id = $1 AND attempt.created_at > $2::${facts.timestampType}
      AND ${countOf('attempt')} > (
        SELECT count(*) FROM good_job_executions AS earlier
        WHERE earlier.active_job_id = job.id AND earlier.error_event IS DISTINCT FROM 0
          AND coalesce(${countOf('earlier')} < ${countOf('attempt')}, true)
      )
  ) AS has_manual_discard,
  EXISTS (
    SELECT 1 FROM good_jobs WHERE batch_id = $1 AND error LIKE 'GoodJob::Job::DiscardJobError: %'
  ) AS has_discarded_member,
  ${successCallback({
    batchId: '$1',
    jobsFinishedAt: `$3::${facts.timestampType}`,
    enqueuedAt: `$4::${facts.timestampType}`,
  })} AS has_success_callback`

/** Reads the history of one batch that is broken since that time; only asked when the batch might recover. */
export const findBatchHistory = async (
  db: Queryable,
  facts: Facts,
  batch: LockedBatch,
  brokenSince: string,
): Promise<BatchHistory> => {
  const jobsFinishedAt = facts.hasJobsFinishedAt ? batch.jobs_finished_at : batch.finished_at
  const rows = await rowsOf<BatchHistory & Record<string, unknown>>(db, {
    text: readBatchHistory(facts),
    values: [batch.id, brokenSince, jobsFinishedAt, batch.enqueued_at, Boolean(batch.on_discard?.trim())],
  })
  const history = rows[0]
  if (history === undefined) throw new Error('a SELECT of expressions answered no row')
  return history
}
