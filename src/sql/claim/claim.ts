import { jobLockKeySql, type Released } from '../advisory-lock.ts'
import { type LimitedJobs, limitedRow } from '../concurrency/limited.ts'
import { countOf, type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { byKey, Parameters, prepared } from '../text.ts'
import { type CandidateOptions, candidateOrder, queuePredicate } from './candidates.ts'
import { lockedCandidates } from './locked-candidates.ts'
import { startJobs } from './start-jobs.ts'

/** A job that this process has just claimed and started, by its columns. */
export interface ClaimedRow {
  readonly id: string
  readonly job_class: string
  readonly queue_name: string | null
  readonly priority: number | null
  readonly serialized_params: string | null
  readonly labels: readonly string[] | null
  readonly concurrency_key: string | null
  readonly cron_key: string | null
  readonly batch_id: string | null
  readonly batch_callback_id: string | null
  readonly created_at: string
  readonly scheduled_at: string | null
  readonly executions_count: number
  /** Start of the previous attempt, if that attempt never recorded its end. */
  readonly interrupted_at: string | null
  readonly execution_id: string
}

/** A row that a claim returns: a job that it has started or, with `is_limited`, a LimitedRow. */
export type ClaimResult = Released & ClaimedRow & { readonly is_limited?: boolean }

export interface ClaimOptions extends CandidateOptions {
  readonly processId: string
  /** The time that is written to the rows. */
  readonly now: string
  /** Jobs that run in this process. Their advisory locks would not exclude them: a session can take its own locks again. */
  readonly runningIds: readonly string[]
  /** Advisory keys of ended attempts, which the claim releases. */
  readonly releaseKeys: readonly string[]
}

/** Candidates in GoodJob's order, their advisory locks, the start of each attempt and its execution row, in one statement. */
const claimJobs = (facts: Facts, options: ClaimOptions, parameters: Parameters): string => {
  const limits = options.limits?.claim === 'skip' ? undefined : options.limits
  const now = parameters.add(options.now, facts.timestampType)
  const processId = parameters.add(options.processId, 'uuid')
  return `
WITH ${lockedCandidates(facts, options, parameters, { columns: ['id', 'performed_at'], now })},
${startJobs(facts, now, processId)}
SELECT ${limits ? 'job.*' : STARTED_COLUMNS}, missing
FROM released
LEFT JOIN ${limits ? startedAndLimited(limits, parameters) : 'started'} ON true
ORDER BY ${candidateOrder(options, parameters, limits ? 'job' : 'started')}`
}

/** The columns of ClaimedRow. */
const STARTED_COLUMNS = `started.id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, cron_key, batch_id,
  batch_callback_id, created_at, scheduled_at, executions_count, interrupted_at, execution_id`

const startedAndLimited = (limits: LimitedJobs, parameters: Parameters): string => `(
  SELECT ${STARTED_COLUMNS}, false AS is_limited
  FROM started
  UNION ALL
  SELECT limited.id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, NULL, NULL,
    NULL, created_at, scheduled_at, NULL, NULL, NULL, true
  FROM (SELECT ${limitedRow(limits, parameters)} FROM taken WHERE is_limited) AS limited
) AS job`

/**
 * Claims and starts up to `limit` jobs on the session that will hold their advisory locks. A row without an id is not a job; it
 * reports how many of the released locks were missing.
 */
export const claim = async (lane: Queryable, facts: Facts, options: ClaimOptions): Promise<ClaimResult[]> => {
  const parameters = new Parameters()
  const text = claimJobs(facts, options, parameters)
  return rowsOf(lane, prepared('claim', text, parameters.values))
}

/** $1 ids uuid[] · $2 locked_at timestamp[] · $3 process uuid */
const reacquireLocks = (facts: Facts) => `
WITH ours AS MATERIALIZED (
  SELECT claimed.id
  FROM unnest($1::uuid[], $2::${facts.timestampType}[]) AS claimed(id, locked_at)
  JOIN good_jobs ON good_jobs.id = claimed.id
  WHERE locked_by_id IS NOT DISTINCT FROM $3::uuid
    AND good_jobs.locked_at = claimed.locked_at
    AND finished_at IS NULL
)
SELECT id FROM ours WHERE pg_try_advisory_lock(${jobLockKeySql('id')})`

/**
 * After the session was lost: takes the locks of running attempts again; returns the ids whose row and lock still belong to this
 * process.
 */
export const reacquire = async (
  lane: Queryable,
  facts: Facts,
  claims: readonly { readonly id: string; readonly lockedAt: string }[],
  processId: string,
): Promise<string[]> => {
  const values = [claims.map(({ id }) => id), claims.map(({ lockedAt }) => lockedAt), processId]
  const rows = await rowsOf<{ id: string }>(lane, { text: reacquireLocks(facts), values })
  return rows.map(({ id }) => id)
}

/** $1 process uuid · $2 known ids uuid[] · $3 exact claim times timestamp[] · $4 claimed before timestamp */
const releaseUnknownClaimsText = (facts: Facts) => `
WITH free AS MATERIALIZED (
  SELECT id
  FROM good_jobs
  WHERE locked_by_id = $1::uuid
    AND id <> ALL ($2::uuid[])
    AND (locked_at = ANY ($3::${facts.timestampType}[]) OR locked_at < $4::${facts.timestampType})
  FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE good_jobs
SET locked_by_id = NULL, locked_at = NULL${facts.hasLockType ? ', lock_type = NULL' : ''}
FROM free
WHERE ${byKey('good_jobs.id', 'free.id')}`

/**
 * Releases rows that carry this process's id although none of its attempts knows them: their claim was committed, but the result
 * was lost with the connection. These jobs run again as interrupted. Returns how many.
 */
export const releaseUnknownClaims = (
  db: Queryable,
  facts: Facts,
  options: {
    readonly processId: string
    readonly knownIds: readonly string[]
    readonly claimedAt: readonly string[]
    readonly claimedBefore: string | null
  },
): Promise<number> =>
  countOf(db, {
    text: releaseUnknownClaimsText(facts),
    values: [options.processId, options.knownIds, options.claimedAt, options.claimedBefore],
  })

const nextScheduledAt = (facts: Facts, options: NextStartOptions, parameters: Parameters): string => `
SELECT min(scheduled_at) AS scheduled_at
FROM good_jobs
WHERE finished_at IS NULL
  AND locked_by_id IS NULL
  AND scheduled_at > ${parameters.add(options.from, facts.timestampType)}
  AND scheduled_at <= ${parameters.add(options.to, facts.timestampType)}
  AND job_class = ANY (${parameters.add(options.jobClasses, 'text[]')})
  ${queuePredicate(options.selector, parameters)}`

export interface NextStartOptions extends Pick<CandidateOptions, 'selector' | 'jobClasses'> {
  readonly from: string
  readonly to: string
}

/** Returns the earliest start of a waiting job after `from` and not later than `to`, or null. */
export const findNextScheduledAt = async (
  db: Queryable,
  facts: Facts,
  options: NextStartOptions,
): Promise<string | null> => {
  const parameters = new Parameters()
  const text = nextScheduledAt(facts, options, parameters)
  const rows = await rowsOf<{ scheduled_at: string | null }>(db, { text, values: parameters.values })
  return rows[0]?.scheduled_at ?? null
}
