/** Conditions on two attempts `a` and `b` of one job, where `b` began after `a`; rows of fleet_runs. */
export const IS_OVERLAP = 'b.started_at < a.until'
export const IS_REPEATED = 'b.started_at >= a.until AND a.is_success'

/** The answer to its claim was late, and the lock was lost meanwhile: a worker in Node that still begins the job writes nothing. */
const BEGAN_LATE = `b.side = 'node' AND b.met_fault AND NOT b.is_recorded AND b.claimed_at < a.until`

/** A worker in Node that lost a lock has to drop the outcome of the attempt; Ruby writes it nevertheless. */
export const EXCUSES_OVERLAP = `(
  a.met_fault AND (a.side = 'ruby' OR NOT a.is_recorded) OR a.is_disturbed OR ${BEGAN_LATE}
)`

/**
 * An advisory Ruby worker read the job before the commit of the success, which it could because the session of that attempt had
 * ended, and started afterwards: compat/held-start.test.ts. GoodJob dates its attempt between the query and the start.
 */
const LOOKED_BEFORE = `b.strategy = 'advisory' AND b.claimed_at < a.committed_at AND a.lost_lock_before_commit`

/** The same for a Ruby worker of any kind that met a fault, which may also have delayed the answer to its query until after the commit. */
const HELD_UP = `b.side = 'ruby' AND EXISTS (
    SELECT FROM fleet_faults fault
    WHERE (fault.worker = b.worker OR fault.worker IS NULL)
    AND fault.at <= b.started_at AND coalesce(fault.over_at, 'infinity') >= b.started_at - interval '5 seconds'
    AND (b.claimed_at < a.committed_at OR fault.at < a.committed_at AND coalesce(fault.over_at, 'infinity') >= b.claimed_at - interval '1 second')
  )`

/**
 * After a written success: the lock was lost before; or the operator retried the job because it looked discarded, whatever this
 * attempt's outcome; or a stalled Ruby worker began the job with an earlier claim, which it does not check again; or such a
 * worker has opened the job again meanwhile.
 */
export const EXCUSES_REPEATED = `(
  a.met_fault OR a.is_disturbed OR ${HELD_UP} OR ${BEGAN_LATE} OR ${LOOKED_BEFORE}
  OR EXISTS (
    SELECT FROM fleet_actions WHERE job_id = a.job_id AND action = 'retry' AND at BETWEEN a.started_at AND b.started_at
  )
  OR EXISTS (
    SELECT FROM fleet_runs r WHERE r.job_id = a.job_id AND r.side = 'ruby' AND r.started_at >= a.until AND r.started_at < b.started_at
  )
)`
