import { type Queryable, rowsOf } from '../connection/queryable.ts'

/**
 * Of one page: a session behind a pooler would keep the lock when we are gone. The key is not that of versions which locked a session, and
 * may have left it locked.
 */
const SWEEP_KEY = `hashtextextended('good-job-node page of a batch sweep', 0)`

const TRY_LOCK = `SELECT pg_try_advisory_xact_lock(${SWEEP_KEY}) AS is_locked`

/** Takes the lock of the sweep until the end of the transaction, unless another process has it. */
export const tryLockSweep = async (db: Queryable): Promise<boolean> => {
  const [row] = await rowsOf<{ is_locked: boolean }>(db, { text: TRY_LOCK })
  return row?.is_locked ?? false
}

/** Another process reads one page meanwhile; who has not read it by then waits for something else. */
const LOCK = `SELECT set_config('lock_timeout', '10s', true), pg_advisory_xact_lock(${SWEEP_KEY})`

/** Takes the lock of the sweep until the end of the transaction; waits for it, so that of two sweeps each gets on. */
export const lockSweep = async (db: Queryable): Promise<void> => {
  await rowsOf(db, { text: LOCK })
}

/** The session that has the lock of the sweep, and since when its transaction is open. */
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

/** Who keeps this process from sweeping; undefined when nobody does any more. */
export const findSweepHolder = async (db: Queryable): Promise<SweepHolder | undefined> => {
  const [holder] = await rowsOf<SweepHolder & Record<string, unknown>>(db, { text: FIND_HOLDER })
  return holder
}
