import { grantClaims } from '../concurrency/claims.ts'
import type { Facts } from '../database.ts'
import { between, byKey, sinceStatementBegan } from '../text.ts'

/**
 * CTEs that start the attempts in the CTE `locked` (id, performed_at, starts_at, execution_id). They update the jobs (returned by
 * `started`), close attempts that never recorded their end as interrupted, insert the execution rows and grant the claims of
 * concurrency rules. `now` and `processId` are placeholders.
 */
export const startJobs = (facts: Facts, now: string, processId: string): string => `started AS (
  UPDATE good_jobs
  SET locked_by_id = ${processId},
      locked_at = ${now},
      ${facts.hasLockType ? 'lock_type = 2,' : ''}
      performed_at = locked.starts_at,
      executions_count = ${NEXT_EXECUTIONS_COUNT},
      error = CASE WHEN locked.performed_at IS NULL THEN error ELSE ${interruptedText('locked.performed_at')} END,
      error_event = CASE WHEN locked.performed_at IS NULL THEN error_event ELSE 0 END,
      updated_at = greatest(${sinceStatementBegan(now)}, locked.starts_at + interval '2 microseconds')
  FROM locked
  WHERE ${byKey('good_jobs.id', 'locked.id')}
  RETURNING good_jobs.id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, cron_key, batch_id,
    batch_callback_id, scheduled_at, created_at, executions_count, locked.performed_at AS interrupted_at, locked.execution_id,
    good_jobs.performed_at, good_jobs.updated_at
),
interrupted AS (
  UPDATE good_job_executions
  SET error = ${interruptedText('locked.performed_at')}, error_event = 0, finished_at = locked.starts_at, duration = '0'
  FROM locked
  WHERE ${byKey('active_job_id', 'locked.id')} AND locked.performed_at IS NOT NULL AND finished_at IS NULL
),
execution AS (
  INSERT INTO good_job_executions
    (id, created_at, updated_at, active_job_id, job_class, queue_name, serialized_params, scheduled_at, process_id)
  SELECT execution_id, performed_at, ${between('performed_at', 'updated_at')}, id, job_class, queue_name, serialized_params, coalesce(scheduled_at, created_at), ${processId}
  FROM started
)${grantClaims(facts, now, processId)}`

/** A row whose count has reached the maximum of the column must not fail the claim of all other jobs. */
const INT4_MAX = 2 ** 31 - 1

/** The number of attempts including this one, computed from the row before the update. */
export const NEXT_EXECUTIONS_COUNT = `least(coalesce(executions_count, 0), ${INT4_MAX - 1}) + 1`

// GoodJob 4.18 interrupt_errors.rb and job.rb#perform: the text stored for an attempt that never recorded its end.
const interruptedText = (performedAt: string): string =>
  `'GoodJob::InterruptedError: Interrupted after starting perform at ''' || to_char(${performedAt}, 'YYYY-MM-DD HH24:MI:SS') || ' UTC'''`
