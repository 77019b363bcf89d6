import { jobLockKeySql } from '../advisory-lock.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { inactive } from '../process/dead.ts'

/** An unfinished job whose lock columns name a process without a row, and whose advisory lock no session holds. */
export interface AbandonedJob {
  readonly id: string
  readonly job_class: string | null
  readonly locked_by_id: string
  readonly locked_at: string | null
}

/** The condition of such a row of good_jobs. */
export const isAbandoned = `
  locked_by_id IS NOT NULL
  AND finished_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM good_job_processes WHERE good_job_processes.id = locked_by_id)
  AND NOT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = ${jobLockKeySql('good_jobs.id')}
  )`

/** $1 limit */
const FIND_ABANDONED_JOBS = `
SELECT id, job_class, locked_by_id, locked_at FROM good_jobs WHERE ${isAbandoned} LIMIT $1`

/** Returns at most `limit` jobs that wait to be released. A worker releases most of them within two minutes. */
export const findAbandonedJobs = (db: Queryable, limit: number): Promise<AbandonedJob[]> =>
  rowsOf<AbandonedJob & Record<string, unknown>>(db, { text: FIND_ABANDONED_JOBS, values: [limit] })

/**
 * Before GoodJob 4.22.1, a Ruby process whose row is deleted while it lives comes back under a random id and inserts one more row
 * at each refresh, every 30 seconds. Its state contains no version, but several live rows name one process.
 */
export const renamedProcess = (facts: Facts): string => `
SELECT 1 FROM good_job_processes
WHERE (${inactive(facts)}) IS NOT TRUE
GROUP BY state->>'hostname', state->>'pid'
HAVING count(*) > 1`

// Jobs of skiplocked owners never have an advisory lock. A job without locked_at cannot be distinguished from a claim of this moment.
/** $1 limit */
const findSilentJobsText = (facts: Facts): string => `
SELECT id, job_class, locked_by_id, locked_at, EXISTS (${renamedProcess(facts)}) AS has_renamed,
  extract(epoch FROM clock_timestamp())::float8 * 1000 AS at_ms
FROM good_jobs
WHERE ${isAbandoned} AND (locked_at IS NULL${facts.hasLockType ? ' OR lock_type = 1' : ''})
LIMIT $1`

/** The result of one query, and its time by the server's clock, in milliseconds. */
export interface SilentJobs {
  readonly jobs: readonly AbandonedJob[]
  readonly atMs: number
}

/** Abandoned jobs for which no lock shows that their owner is dead; none while one of them may belong to a process under another id. */
export const findSilentJobs = async (db: Queryable, facts: Facts): Promise<SilentJobs> => {
  const rows = await rowsOf<AbandonedJob & { has_renamed: boolean; at_ms: number }>(db, {
    text: findSilentJobsText(facts),
    values: [MAX_SILENT_JOBS],
  })
  return { jobs: rows.filter((row) => !row.has_renamed), atMs: rows[0]?.at_ms ?? 0 }
}

const MAX_SILENT_JOBS = 1_000

// The columns read before are the fence: a claim since then has written other values. A row that a claim has locked is skipped.
/** $1 ids uuid[] · $2 owners uuid[] · $3 locked_at timestamp[] */
const releaseSilentJobsText = (facts: Facts): string => `
WITH silent AS MATERIALIZED (
  SELECT good_jobs.id
  FROM unnest($1::uuid[], $2::uuid[], $3::${facts.timestampType}[]) AS seen(id, locked_by_id, locked_at)
  JOIN good_jobs ON good_jobs.id = seen.id
  WHERE good_jobs.locked_by_id = seen.locked_by_id
    AND good_jobs.locked_at IS NOT DISTINCT FROM seen.locked_at
    AND finished_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM good_job_processes WHERE good_job_processes.id = seen.locked_by_id)
    AND NOT EXISTS (${renamedProcess(facts)})
  FOR NO KEY UPDATE OF good_jobs SKIP LOCKED
),
free AS MATERIALIZED (
  SELECT id FROM silent WHERE pg_try_advisory_xact_lock(${jobLockKeySql('id')})
)
UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL FROM free WHERE good_jobs.id = free.id RETURNING good_jobs.id`

/** Releases these jobs, unless their columns have changed; returns how many. */
export const releaseSilentJobs = async (
  db: Queryable,
  facts: Facts,
  jobs: readonly AbandonedJob[],
): Promise<number> => {
  const values = [
    jobs.map(({ id }) => id),
    jobs.map(({ locked_by_id }) => locked_by_id),
    jobs.map(({ locked_at }) => locked_at),
  ]
  return (await rowsOf(db, { text: releaseSilentJobsText(facts), values })).length
}

/** A job that a user wants to release. Its row is locked, and its advisory lock if that was free. */
export interface OwnedJob {
  readonly finished_at: string | null
  readonly locked_by_id: string | null
  readonly is_lock_free: boolean
  /** Host and pid of its process; null without a process row. */
  readonly owner: string | null
}

/** $1 job id uuid */
const LOCK_OWNED_JOB = `
WITH job AS MATERIALIZED (
  SELECT id, finished_at, locked_by_id FROM good_jobs WHERE id = $1 FOR NO KEY UPDATE
)
SELECT job.finished_at, job.locked_by_id, pg_try_advisory_xact_lock(${jobLockKeySql('job.id')}) AS is_lock_free,
  CASE WHEN good_job_processes.id IS NOT NULL
    THEN coalesce(good_job_processes.state->>'hostname', 'unknown host') || ':' || coalesce(good_job_processes.state->>'pid', '?') END AS owner
FROM job LEFT JOIN good_job_processes ON good_job_processes.id = job.locked_by_id`

export const lockOwnedJob = async (db: Queryable, id: string): Promise<OwnedJob | undefined> =>
  (await rowsOf<OwnedJob & Record<string, unknown>>(db, { text: LOCK_OWNED_JOB, values: [id] }))[0]

/** $1 job id uuid */
const RELEASE_JOB = 'UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL WHERE id = $1 RETURNING id'

/** Releases a job that `lockOwnedJob` has locked. */
export const releaseOwnedJob = async (db: Queryable, id: string): Promise<void> => {
  await rowsOf(db, { text: RELEASE_JOB, values: [id] })
}
