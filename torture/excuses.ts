/** Conditions on two attempts `a` and `b` of one job, where `b` began after `a`; rows of fleet_runs. */
export const IS_OVERLAP = 'b.started_at < a.until'
export const IS_REPEATED = 'b.started_at >= a.until AND a.is_success'

/** The answer to its claim was late, the lock was lost meanwhile: a worker in Node that begins all the same writes nothing. */
const BEGAN_LATE = `b.side = 'node' AND b.met_fault AND NOT b.is_recorded AND b.claimed_at < a.until`

/** A worker in Node that lost a lock has to drop what the attempt came to; Ruby writes it all the same. */
export const EXCUSES_OVERLAP = `(
  a.met_fault AND (a.side = 'ruby' OR NOT a.is_recorded) OR a.is_disturbed OR ${BEGAN_LATE}
)`

/**
 * A Ruby worker on advisory looked at the job before the commit of the success, which it could because the session of that attempt had
 * ended, and started afterwards: compat/held-start.test.ts. GoodJob dates its attempt between the look and the start.
 */
const LOOKED_BEFORE = `b.strategy = 'advisory' AND b.claimed_at < a.committed_at AND a.lost_lock_before_commit`

/** The same for a Ruby worker of any kind that met a fault, which may also have kept the answer to its look until after the commit. */
const HELD_UP = `b.side = 'ruby' AND EXISTS (
    SELECT FROM fleet_faults fault
    WHERE (fault.worker = b.worker OR fault.worker IS NULL)
    AND fault.at <= b.started_at AND coalesce(fault.over_at, 'infinity') >= b.started_at - interval '5 seconds'
    AND (b.claimed_at < a.committed_at OR fault.at < a.committed_at AND coalesce(fault.over_at, 'infinity') >= b.claimed_at - interval '1 second')
  )`

/**
 * After a success that was written: the lock was lost before; or somebody retried the job by hand, who saw it discarded, whatever this
 * attempt had come to; or a Ruby worker that was held up began with a claim from before, which it does not look at again; or such a
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
