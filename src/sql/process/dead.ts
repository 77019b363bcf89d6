import { jobLockKeySql } from '../advisory-lock.ts'
import { freePlacesOfProcesses, type Promoter } from '../concurrency/claims.ts'
import { countOf, type Queryable, rowsOf } from '../connection/queryable.ts'
import { type Facts, serverNow } from '../database.ts'

// GoodJob process.rb: with lock_type 0 a process lives as long as its advisory lock is in pg_locks, else by its updated_at.
/** The condition of a row of good_job_processes whose process is dead. */
export const inactive = (facts: Facts): string => `
  (lock_type IS NULL AND updated_at < ${serverNow(facts)} - interval '5 minutes')
  OR (lock_type IS NOT DISTINCT FROM 0 AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1
      AND ((classid::bigint << 32) | objid::bigint) = ('x' || substr(md5('good_job_processes-' || good_job_processes.id::text), 1, 16))::bit(64)::bigint
  ))`

// A job whose row another session has locked is released by a later cleanup, which needs the row of its process. The process that
// cleans up is alive, even if its row is old because the whole process was suspended. $1 own process uuid
const releaseDeadProcessesText = (facts: Facts) => `
WITH dead AS MATERIALIZED (
  SELECT id FROM good_job_processes WHERE (${inactive(facts)}) AND id <> $1::uuid FOR UPDATE SKIP LOCKED
),
free AS MATERIALIZED (
  SELECT good_jobs.id FROM good_jobs JOIN dead ON locked_by_id = dead.id FOR NO KEY UPDATE OF good_jobs SKIP LOCKED
),
released AS (
  UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL FROM free WHERE good_jobs.id = free.id RETURNING good_jobs.id
),
deleted AS (
  DELETE FROM good_job_processes
  USING dead
  WHERE good_job_processes.id = dead.id
    AND NOT EXISTS (SELECT 1 FROM good_jobs WHERE locked_by_id = dead.id AND good_jobs.id NOT IN (SELECT id FROM free))
  RETURNING good_job_processes.id
)
SELECT deleted.id, count.jobs FROM (SELECT count(*)::int AS jobs FROM released) AS count LEFT JOIN deleted ON true`

export interface ReleasedProcesses {
  readonly ids: readonly string[]
  /** Jobs that can be claimed again. */
  readonly jobs: number
  /** The keys of jobs that Ruby had refused and that may try again. */
  readonly promotedKeys: readonly string[]
}

/**
 * Releases the jobs of processes that have not refreshed their row for five minutes, and their places under concurrency rules, and
 * deletes their rows, as every Ruby process does. Call it in a transaction: after the row is deleted, nothing points to the claims.
 */
export const releaseDeadProcesses = async (
  db: Queryable,
  facts: Facts,
  cleaner: Promoter,
): Promise<ReleasedProcesses> => {
  const rows = await rowsOf<{ id: string | null; jobs: number }>(db, {
    text: releaseDeadProcessesText(facts),
    values: [cleaner.processId],
  })
  const ids = rows.flatMap(({ id }) => id ?? [])
  const promotedKeys = await freePlacesOfProcesses(db, facts, ids, cleaner)
  return { ids, jobs: rows[0]?.jobs ?? 0, promotedKeys }
}

/**
 * Jobs whose owner has no process row are skipped by lock strategies that read locked_by_id. A skiplocked owner (lock_type 1) holds
 * no advisory lock that would show whether it is alive, so its jobs are left to `releaseSilentJobs`. $1 a minute ago timestamp
 */
const releaseOrphansText = (facts: Facts) => `
WITH orphan AS MATERIALIZED (
  SELECT id FROM good_jobs
  WHERE locked_by_id IS NOT NULL
    AND finished_at IS NULL
    AND locked_at < $1
    ${facts.hasLockType ? 'AND lock_type IS DISTINCT FROM 1' : ''}
    AND NOT EXISTS (SELECT 1 FROM good_job_processes WHERE good_job_processes.id = locked_by_id)
  FOR NO KEY UPDATE SKIP LOCKED
),
free AS MATERIALIZED (
  SELECT id FROM orphan WHERE pg_try_advisory_xact_lock(${jobLockKeySql('id')})
)
UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL FROM free WHERE good_jobs.id = free.id`

/** Releases unfinished jobs of owners without a process row whose advisory lock no session holds; returns how many. */
export const releaseOrphans = (db: Queryable, facts: Facts, lockedBefore: string): Promise<number> =>
  countOf(db, { text: releaseOrphansText(facts), values: [lockedBefore] })
