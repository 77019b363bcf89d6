import { jobLockKeySql, UNLOCK_AND_COUNT_MISSING } from '../advisory-lock.ts'
import { unlessClaimIsHeld } from '../concurrency/claims.ts'
import { isLimited, isUnlocked, LIMITED_COLUMNS } from '../concurrency/limited.ts'
import type { Facts } from '../database.ts'
import type { Parameters } from '../text.ts'
import { plainArray, sinceStatementBegan } from '../text.ts'
import { candidates } from './candidates.ts'
import type { ClaimOptions } from './claim.ts'

/**
 * True if another transaction has locked the execution of an attempt that never recorded its end. A claim closes that execution and
 * must not wait for the lock: it skips the job and claims the others. Executions that are free stay locked until the claim is
 * committed.
 */
export const HAS_LOCKED_ATTEMPT = `(
      SELECT count(*) FROM good_job_executions WHERE active_job_id = candidate.id AND finished_at IS NULL
    ) > (
      SELECT count(*) FROM (
        SELECT FROM good_job_executions WHERE active_job_id = candidate.id AND finished_at IS NULL FOR NO KEY UPDATE SKIP LOCKED
      ) AS free
    )`

/**
 * The CTEs that a claim begins with. `released` releases the advisory locks of ended attempts and counts those that were `missing`.
 * `locked` contains up to `limit` candidates whose advisory locks this session now holds, with these columns of good_jobs, the
 * start and the execution id of each attempt.
 *
 * With `limits` there is also `taken`: the same jobs, and those that a concurrency rule limits (`is_limited`), which count against
 * `limit` but are neither locked nor started.
 *
 * `locked` reads candidates one by one until it has enough: a job that another process holds costs one more row. A CTE is computed
 * once, so no lock is taken twice (GoodJob's phantom locks). `now` is a placeholder.
 */
export const lockedCandidates = (
  facts: Facts,
  options: ClaimOptions,
  parameters: Parameters,
  { columns, now }: { readonly columns: readonly string[]; readonly now: string },
): string => {
  const limits = options.limits?.claim === 'skip' ? undefined : options.limits
  const limited = limits && isLimited(limits, parameters)
  return `released AS MATERIALIZED (
  SELECT ${UNLOCK_AND_COUNT_MISSING} AS missing FROM unnest(${parameters.add(plainArray(options.releaseKeys), 'bigint[]')}) AS key
),
candidate AS MATERIALIZED (${candidates(facts, options, parameters, limits ? [...new Set([...columns, ...LIMITED_COLUMNS])] : columns)}
),
${limits ? 'taken' : 'locked'} AS MATERIALIZED (
  SELECT ${limits ? `*, ${limited} AS is_limited` : columns.join(', ')}, ${sinceStatementBegan(now)} AS starts_at, gen_random_uuid() AS execution_id
  FROM candidate
  WHERE CASE WHEN id = ANY (${parameters.add(plainArray(options.runningIds), 'uuid[]')}) THEN false
    ${limits ? `WHEN ${limited} THEN ${isUnlocked('id')}\n    ` : ''}${unlessClaimIsHeld(facts, 'candidate.id')}
    WHEN performed_at IS NOT NULL AND ${HAS_LOCKED_ATTEMPT} THEN false
    ELSE pg_try_advisory_lock(${jobLockKeySql('id')}) END
  LIMIT ${parameters.add(options.limit, 'int')}
)${limits ? `,\nlocked AS (\n  SELECT ${columns.join(', ')}, starts_at, execution_id FROM taken WHERE NOT is_limited\n)` : ''}`
}
