import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { integerIn } from '../stored-hash.ts'
import type { LockedBatch } from './check.ts'

/** The history of a discarded batch in which no member is open or broken. */
export interface BatchHistory {
  /** The member that discarded the batch has succeeded since, or another member succeeded in an attempt that started after the discard. */
  readonly has_success_since: boolean
  /** The attempt that discarded the batch belongs to a member that still exists. */
  readonly has_breaking_attempt: boolean
  /** That same member has succeeded in a later attempt. */
  readonly has_mended_member: boolean
  /**
   * An existing member was discarded manually: its later attempt counts more executions than the member had attempts. Interrupted
   * attempts do not raise that count.
   */
  readonly has_manual_discard: boolean
  /** An existing member is discarded manually, or was and waits again: a retry keeps the error text until the attempt has ended. */
  readonly has_discarded_member: boolean
  /** The success callback of the current arming exists already. */
  readonly has_success_callback: boolean
}

/** A manual retry changes `created_at` of the row, but not that of the first attempt. */
export const CALLBACK_CREATED_AT = `least(callback.created_at,
        (SELECT min(attempt.created_at) FROM good_job_executions AS attempt WHERE attempt.active_job_id = callback.id))`

/**
 * True if the success callback of this arming exists. Such a callback is not older than the end of the arming's jobs, apart from
 * the difference between the clocks of two processes. It is also not older than the arming itself, because the previous stage may
 * have ended a moment ago. An arming later than the end of its jobs was stamped by a clock that is ahead. In that case the end of
 * the jobs counts: it was stamped by the process that enqueues the callback.
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

/** The `executions` count of the job when the attempt began. Only retries raise it, so it orders attempts without comparing clocks. */
const countOf = (attempt: string) => integerIn(`${attempt}.serialized_params`, 'executions')

/**
 * Selects the attempt that discarded the batch, if its member still exists: the last attempt before the discard that broke its job.
 * The discard is stamped by the same clock that ended the attempt. This project stamps that exact time; Ruby stamps a moment later,
 * in another transaction. So "before" means within a few seconds.
 *
 * An attempt that was interrupted (event 0) or retried (3) broke nothing. Neither did an attempt that ended with an unhandled error
 * (1) under retry_on_unhandled_error: another attempt then has the same count, which a manual retry would have raised, and
 * succeeded or came later. An attempt that ran beside it has the same count, too; Ruby workers of different lock strategies produce
 * such attempts.
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
 * True if the member that discarded the batch has succeeded since, in an attempt with a higher count, whatever the clocks of the
 * two hosts show.
 *
 * The exception: that member's failure discarded the batch earlier, and a different failure caused the current discard. Then a
 * discard callback exists that was enqueued after the earlier failure and before the current `discarded_at`. The clock that ended the
 * failed attempt also stamped that callback. A batch without a discard callback shows the same, less reliably, by any other callback;
 * a success that began after the current `discarded_at` outweighs it.
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

/**
 * $1 batch uuid · $2 discarded_at timestamp · $3 end of the arming's jobs, or null · $4 enqueued_at timestamp · $5 has a discard
 * callback
 */
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

/** Reads the history of one batch that has been discarded since that time; called only if the batch might recover. */
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
  if (history === undefined) throw new Error('a SELECT of expressions returned no row')
  return history
}
