import { CALLBACK_EVENT, DISCARDING_ATTEMPT, IS_BROKEN } from './batch-rows.ts'
import { LATE_IN_RUBY } from './late-discards.ts'

/** Callbacks of all batches with one description, by event. */
export interface CallbackCount {
  readonly batches: string
  readonly event: string
  readonly owed: number
  readonly given: number
  readonly missing: number
  /** The process in Ruby that ended the batch met a fault before it had enqueued them. */
  readonly lost_by_ruby: number
  /** A process in Ruby set discarded_at long after the failure: docs/batches.md says that such a batch waits for a person. */
  readonly unproven: number
  readonly duplicated: number
  /** A stalled process in Ruby discarded a batch that had recovered: compat/batch-late-stamp.test.ts. */
  readonly late_in_ruby: number
  readonly invented: number
}

/** Attempts that may have ended the `batch`: the first process that checks after the last member has ended enqueues. */
const LAST_ATTEMPTS = `
        SELECT e.process_id, batch.jobs_finished_at AS at FROM good_jobs member JOIN good_job_executions e ON e.active_job_id = member.id
        WHERE member.batch_id = batch.id
        AND e.finished_at BETWEEN batch.jobs_finished_at - interval '30 seconds' AND batch.jobs_finished_at`

/** Attempts that discarded the `batch`: their process enqueues on_discard. */
const BREAKING_ATTEMPTS = `
        SELECT e.process_id, e.finished_at AS at FROM good_jobs member JOIN good_job_executions e ON e.active_job_id = member.id
        WHERE member.batch_id = batch.id AND ${IS_BROKEN}`

/**
 * A worker in Ruby made one of these attempts, and died or lost its connection about when it owed the callbacks. Beside Rails 7.2 Ruby
 * enqueues them after the commit that makes them owed, so a fault of its process in between loses them.
 */
const inFaultyRuby = (attempts: string): string => `
    EXISTS (
      SELECT FROM (${attempts}
      ) AS attempt
      JOIN fleet_workers worker ON worker.process_id = attempt.process_id AND worker.side = 'ruby'
      LEFT JOIN fleet_deaths death ON death.worker = worker.worker
      LEFT JOIN fleet_faults fault ON takes_locks AND (fault.worker = worker.worker OR fault.worker IS NULL)
      WHERE least(death.at, fault.at) AT TIME ZONE 'UTC' < attempt.at + interval '30 seconds'
      AND greatest(death.at, fault.over_at) AT TIME ZONE 'UTC' > attempt.at - interval '1 second'
    )`

/** The last failure before `discarded_at` of the `batch` was more than five seconds earlier, and a worker in Ruby made one of them. */
const WAS_STAMPED_LATE = `
    (
      SELECT max(e.finished_at) < batch.discarded_at - interval '5 seconds' AND bool_or(worker.side = 'ruby')
      FROM good_jobs member
      JOIN good_job_executions e ON e.active_job_id = member.id
      LEFT JOIN fleet_workers worker USING (process_id)
      WHERE member.batch_id = batch.id AND ${IS_BROKEN} AND e.finished_at <= batch.discarded_at
    ) IS TRUE`

/** Whether the operator discarded a member of the `batch` (a waiting job has no attempt then); unknown if the answer was lost. */
const BY_OPERATOR = `
    SELECT coalesce(bool_or(is_done), false) AS is_done, coalesce(bool_or(is_done IS NULL), false) AS is_unknown
    FROM fleet_actions JOIN good_jobs member ON member.id = job_id
    WHERE member.batch_id = batch.id AND action = 'force discard'`

/** Batches that were enqueued, with the facts that decide which callbacks each owed. */
const BATCHES = `
  SELECT id, description, ${inFaultyRuby(LAST_ATTEMPTS)} AS ended_in_faulty_ruby, ${inFaultyRuby(BREAKING_ATTEMPTS)} AS broke_in_faulty_ruby,
    EXISTS (${DISCARDING_ATTEMPT}) OR by_operator.is_done AS was_discarded,
    by_operator.is_unknown AS may_be_discarded, ${WAS_STAMPED_LATE} AS was_stamped_late
  FROM good_job_batches batch
  CROSS JOIN LATERAL (${BY_OPERATOR}
  ) AS by_operator
  WHERE enqueued_at IS NOT NULL`

/** Callback jobs that the `batch` was given for this `event`. */
const GIVEN = `
      SELECT count(*) FROM good_jobs
      WHERE batch_callback_id = batch.id AND ${CALLBACK_EVENT} = event`

/** Those of them that Ruby enqueued for a failure from which the batch had recovered. */
const LATE = `
      SELECT count(*) FROM good_jobs late
      WHERE event = 'discard' AND late.batch_callback_id = batch.id AND late.${CALLBACK_EVENT} = 'discard' AND ${LATE_IN_RUBY}`

/** For each `batch` and event: whether a callback was owed, why it may be missing, and how many there are. */
const OWED = `
  SELECT id, description, event,
    CASE event WHEN 'discard' THEN broke_in_faulty_ruby ELSE ended_in_faulty_ruby END AS is_lost_by_ruby, event <> 'discard' OR was_discarded AS is_owed,
    event = 'discard' AND may_be_discarded AS may_be_owed,
    event = 'success' AND was_stamped_late AS is_unproven,
    (${GIVEN}
    ) AS given,
    (${LATE}
    ) AS late
  FROM batch, unnest(ARRAY['success', 'finish', 'discard']) AS event`

/** Every batch owes one on_success and one on_finish in the end, and one on_discard if a member failed for good. */
export const CALLBACKS = `
WITH batch AS (${BATCHES}
),
owed AS (${OWED}
)
SELECT description AS batches, event, count(*) FILTER (WHERE is_owed)::integer AS owed, sum(given)::integer AS given,
  count(*) FILTER (WHERE is_owed AND given = 0 AND NOT is_lost_by_ruby AND NOT is_unproven)::integer AS missing,
  count(*) FILTER (WHERE is_owed AND given = 0 AND is_lost_by_ruby AND NOT is_unproven)::integer AS lost_by_ruby,
  count(*) FILTER (WHERE is_owed AND given = 0 AND is_unproven)::integer AS unproven,
  coalesce(sum(given - late - 1) FILTER (WHERE given - late > 1), 0)::integer AS duplicated, sum(late)::integer AS late_in_ruby,
  count(*) FILTER (WHERE NOT is_owed AND NOT may_be_owed AND given > 0)::integer AS invented
FROM owed GROUP BY 1, 2 ORDER BY 1, 2`
