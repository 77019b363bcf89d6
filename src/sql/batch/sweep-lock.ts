import { type Queryable, rowsOf } from '../connection/queryable.ts'

/**
 * The lock covers one page: behind a pooler a session lock would outlive this process. The key differs from that of earlier
 * versions, which locked a session and may have left it locked.
 */
const SWEEP_KEY = `hashtextextended('good-job-node page of a batch sweep', 0)`

const TRY_LOCK = `SELECT pg_try_advisory_xact_lock(${SWEEP_KEY}) AS is_locked`

/** Takes the lock of the sweep until the end of the transaction, unless another process holds it. */
export const tryLockSweep = async (db: Queryable): Promise<boolean> => {
  const [row] = await rowsOf<{ is_locked: boolean }>(db, { text: TRY_LOCK })
  return row?.is_locked ?? false
}

/** Another process holds the lock while it reads one page. A longer wait has another cause. */
const LOCK = `SELECT set_config('lock_timeout', '10s', true), pg_advisory_xact_lock(${SWEEP_KEY})`

/** Takes the lock of the sweep until the end of the transaction; waits for it, so that two concurrent sweeps both make progress. */
export const lockSweep = async (db: Queryable): Promise<void> => {
  await rowsOf(db, { text: LOCK })
}

/** The session that holds the lock of the sweep, and since when its transaction is open. */
export interface SweepHolder {
  readonly pid: number
  readonly application: string | null
  readonly since: string | null
}

const FIND_HOLDER = `
SELECT pg_locks.pid, application_name AS application, coalesce(xact_start, backend_start) AS since
FROM pg_locks
LEFT JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((classid::bigint << 32) | objid::bigint) = ${SWEEP_KEY}`

/** Returns the session that keeps this process from sweeping; undefined if no session does any more. */
export const findSweepHolder = async (db: Queryable): Promise<SweepHolder | undefined> => {
  const [holder] = await rowsOf<SweepHolder & Record<string, unknown>>(db, { text: FIND_HOLDER })
  return holder
}
