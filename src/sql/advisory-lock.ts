// A namespace import: Node 18 has no `hash`, and a named import would fail before the message about the required Node version.
import * as crypto from 'node:crypto'
import { type Queryable, rowsOf } from './connection/queryable.ts'
import { prepared } from './text.ts'

/**
 * The 64-bit key of an advisory lock, as decimal text for a bigint parameter.
 * GoodJob advisory_lockable.rb: the first 16 hex digits of the MD5, read as a signed number.
 */
export const advisoryKey = (name: string): string =>
  BigInt.asIntN(64, BigInt(`0x${crypto.hash('md5', name).slice(0, 16)}`)).toString()

export const jobLockKey = (jobId: string): string => advisoryKey(`good_jobs-${jobId}`)
export const batchLockKey = (batchId: string): string => advisoryKey(`good_job_batches-${batchId}`)

/** The key of `good_jobs-<id>` computed by the server; `id` is a uuid expression. */
export const jobLockKeySql = (id: string): string =>
  `('x' || substr(md5('good_jobs-' || ${id}::text), 1, 16))::bit(64)::bigint`

/** Replaces `pg_advisory_unlock`, whose result false is easily overlooked: counts the locks that the session did not hold. */
export const UNLOCK_AND_COUNT_MISSING = 'count(*) FILTER (WHERE NOT pg_advisory_unlock(key))::int'

/** $1 keys to keep bigint[] */
const RELEASE_OTHER_ADVISORY_LOCKS = `
WITH stray AS MATERIALIZED (
  SELECT (classid::bigint << 32) | objid::bigint AS key
  FROM pg_locks
  WHERE pid = pg_backend_pid()
    AND locktype = 'advisory'
    AND objsubid = 1
    AND mode = 'ExclusiveLock'
    AND (classid::bigint << 32) | objid::bigint <> ALL ($1::bigint[])
)
SELECT ${UNLOCK_AND_COUNT_MISSING} AS missing FROM stray`

/** Releases every advisory lock of this session except these; returns how many of the released locks were missing. */
export const releaseOtherAdvisoryLocks = async (db: Queryable, keptKeys: readonly string[]): Promise<number> =>
  missingIn(await rowsOf<Released>(db, { text: RELEASE_OTHER_ADVISORY_LOCKS, values: [keptKeys] }))

/** $1 keys bigint[] */
const RELEASE_ADVISORY_LOCKS = `SELECT ${UNLOCK_AND_COUNT_MISSING} AS missing FROM unnest($1::bigint[]) AS key`

/** Releases advisory locks of this session, each as often as it is named; returns how many of them were missing. */
export const releaseAdvisoryLocks = async (db: Queryable, keys: readonly string[]): Promise<number> =>
  missingIn(await rowsOf<Released>(db, prepared('release_advisory_locks', RELEASE_ADVISORY_LOCKS, [keys])))

/** A column of each row of a statement that releases advisory locks: how many of them the session did not hold. */
export interface Released {
  readonly missing: number
}

const missingIn = ([row]: readonly Released[]): number => row?.missing ?? 0
