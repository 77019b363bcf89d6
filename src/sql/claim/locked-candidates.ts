import { jobLockKeySql, UNLOCK_AND_COUNT_MISSING } from '../advisory-lock.ts'
import { unlessClaimIsHeld } from '../concurrency/claims.ts'
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
const HAS_LOCKED_ATTEMPT = `(
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
 * `locked` reads candidates one by one until it has enough: a job that another process holds costs one more row. A CTE is computed
 * once, so no lock is taken twice (GoodJob's phantom locks). `now` is a placeholder.
 */
export const lockedCandidates = (
  facts: Facts,
  options: ClaimOptions,
  parameters: Parameters,
  { columns, now }: { readonly columns: readonly string[]; readonly now: string },
): string => `released AS MATERIALIZED (
  SELECT ${UNLOCK_AND_COUNT_MISSING} AS missing FROM unnest(${parameters.add(plainArray(options.releaseKeys), 'bigint[]')}) AS key
),
candidate AS MATERIALIZED (${candidates(facts, options, parameters, columns)}
),
locked AS MATERIALIZED (
  SELECT ${columns.join(', ')}, ${sinceStatementBegan(now)} AS starts_at, gen_random_uuid() AS execution_id
  FROM candidate
  WHERE CASE WHEN id = ANY (${parameters.add(plainArray(options.runningIds), 'uuid[]')}) THEN false
    ${unlessClaimIsHeld(facts, 'candidate.id')}
    WHEN performed_at IS NOT NULL AND ${HAS_LOCKED_ATTEMPT} THEN false
    ELSE pg_try_advisory_lock(${jobLockKeySql('id')}) END
  LIMIT ${parameters.add(options.limit, 'int')}
)`
