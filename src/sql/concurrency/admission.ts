import { advisoryKey, jobLockKeySql, type Released, UNLOCK_AND_COUNT_MISSING } from '../advisory-lock.ts'
import type { ClaimedRow } from '../claim/claim.ts'
import { HAS_LOCKED_ATTEMPT } from '../claim/locked-candidates.ts'
import { startJobs } from '../claim/start-jobs.ts'
import { type Queryable, rowsOf, rowsOfEach } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { notPaused } from '../pauses.ts'
import { byKey, Parameters, plainArray, prepared, sinceStatementBegan, textArray } from '../text.ts'
import { BEGIN } from '../transaction/read-committed.ts'
import { hasUngrantedClaim, unlessClaimIsHeld } from './claims.ts'
import { executed, type PreparingSession } from './executed.ts'
import type { LimitedRow } from './limited.ts'
import { IS_RUNNING } from './scope.ts'
import { scopeLockKeys, scopeLockTexts } from './scope-locks.ts'

/** How long an admission waits for the locks of its scopes, milliseconds. Ruby holds such a lock for the time of one query. */
const SCOPE_LOCK_MS = 1_000

/** Ends the transaction of an admission without a start. */
export const abandonAdmission = async (lane: Queryable): Promise<void> => {
  await lane.query({ text: 'ROLLBACK' })
}

/** The scopes that count a job of `running`: `label:…`, `key:…` and `all`. GoodJob 4.23.1 concurrency.rb#scoped_key. */
const SCOPES_OF_RUNNING = `
    SELECT 'label:' || label AS claim_key FROM unnest(running.labels) AS label
    UNION SELECT 'key:' || running.concurrency_key WHERE running.concurrency_key IS NOT NULL
    UNION SELECT 'all'`

/**
 * $1 claim keys text[]. Counts started rows that a process holds, as GoodJob 4.23.1 concurrency.rb does, but not those of dead
 * processes that have been released: none of them runs, and two of them would keep each other waiting.
 */
const countRunningText = (facts: Facts): string => `
WITH running AS MATERIALIZED (
  SELECT id, labels, concurrency_key
  FROM good_jobs
  WHERE ${IS_RUNNING}
)
SELECT scope.claim_key, count(*)::int AS running
FROM running
CROSS JOIN LATERAL (${SCOPES_OF_RUNNING}
) AS scope
WHERE scope.claim_key = ANY ($1::text[])${hasUngrantedClaim(facts, 'running.id', 'scope.claim_key', 'AND NOT')}
GROUP BY scope.claim_key`

/**
 * Begins the transaction of an admission, takes the locks of its scopes, under which Ruby checks its limits, too, and returns how
 * many jobs run in each scope; scopes without any are left out. The locks are taken in the order of their keys, so that two
 * admissions never wait for each other. One message, but statements of their own: the one that counts must see everything that was
 * committed before the locks were free.
 */
export const beginAdmission = async (
  lane: PreparingSession,
  facts: Facts,
  scopes: readonly LockedScope[],
  releaseKeys: readonly string[],
): Promise<AdmissionCounts> => {
  const doubtful = scopes.filter(({ wasBusy }) => wasBusy)
  const locks = scopeLockTexts(scopes.filter(({ wasBusy }) => !wasBusy))
  const tries = scopeLockKeys(doubtful.map(({ lockName }) => lockName)).map(tryLock)
  const claimKeys = scopes.map(({ claimKey }) => claimKey)
  const counting = await executed(lane, countStatement(facts, claimKeys))
  const releases = releaseKeys.length === 0 ? [] : [releaseOf(releaseKeys)]
  const texts = [BEGIN, `SET LOCAL lock_timeout = ${SCOPE_LOCK_MS}`, ...releases, ...locks, ...tries, counting]
  const results = await rowsOfEach<RunningCount & LockTry & Partial<Released>>(lane, texts)
  const held = new Set(results.flatMap((rows) => rows.flatMap(({ held_key }) => held_key ?? [])))
  const busy = doubtful.filter(({ lockName }) => held.has(advisoryKey(lockName))).map(({ claimKey }) => claimKey)
  const missing = results.flat().find((row) => row.missing !== undefined)?.missing ?? 0
  return { running: countsOf(results.at(-1) ?? []), busy: new Set(busy), missing }
}

/** The advisory locks of ended attempts are released by the same message. The keys are numbers. */
const releaseOf = (keys: readonly string[]): string =>
  `SELECT ${UNLOCK_AND_COUNT_MISSING} AS missing FROM unnest('${plainArray(keys)}'::bigint[]) AS key`

/** A scope whose lock an admission takes. */
export interface LockedScope {
  readonly claimKey: string
  readonly lockName: string
  /** Another session kept the lock at the last admission: this one does not wait for it. */
  readonly wasBusy: boolean
}

interface AdmissionCounts {
  /** Running jobs by claim key; a scope without any is left out. */
  readonly running: ReadonlyMap<string, number>
  /** Claim keys of the scopes whose lock another session holds. Their counts are of no use. */
  readonly busy: ReadonlySet<string>
  /** How many of the locks to release the session did not hold. */
  readonly missing: number
}

/** Takes a lock without waiting; returns its key if another session holds it. */
const tryLock = (key: string): string =>
  `SELECT '${key}' AS held_key WHERE NOT pg_try_advisory_xact_lock('${key}'::bigint)`

interface LockTry {
  readonly held_key?: string
}

interface RunningCount {
  readonly claim_key: string
  readonly running: number
}

const countStatement = (facts: Facts, claimKeys: readonly string[]) =>
  prepared('count_running', countRunningText(facts), [textArray(claimKeys)])

const countsOf = (rows: readonly RunningCount[]): ReadonlyMap<string, number> =>
  new Map(rows.map(({ claim_key, running }) => [claim_key, running]))

/** Returns how many jobs run in each scope; scopes without any are left out. */
export const countRunning = async (
  db: Queryable,
  facts: Facts,
  claimKeys: readonly string[],
): Promise<ReadonlyMap<string, number>> =>
  countsOf(await rowsOf<RunningCount & Record<string, unknown>>(db, countStatement(facts, claimKeys)))

/** A job to start, as it was when its rules were read, and the scopes in which it takes a place. */
export interface AdmittedJob {
  readonly row: Pick<LimitedRow, 'id' | 'queue_name' | 'labels' | 'concurrency_key'>
  readonly claimKeys: readonly string[]
}

export interface AdmissionOptions {
  readonly processId: string
  /** The time that is written to the rows. */
  readonly now: string
  readonly dueUntil: string
  /** Jobs that run in this process; see ClaimOptions. */
  readonly runningIds: readonly string[]
  readonly jobClasses: readonly string[]
  readonly honoursPauses?: boolean
}

const insertClaims = (
  { hasConcurrencyClaims }: Facts,
  jobs: readonly AdmittedJob[],
  { now, processId }: { readonly now: string; readonly processId: string },
  parameters: Parameters,
): string => {
  if (!hasConcurrencyClaims) return ''
  const claims = jobs.flatMap(({ row: { id }, claimKeys }) => claimKeys.map((claimKey) => ({ id, claimKey })))
  const ids = parameters.add(plainArray(claims.map(({ id }) => id)), 'uuid[]')
  const keys = parameters.add(textArray(claims.map(({ claimKey }) => claimKey)), 'text[]')
  return `,
claimed AS (
  INSERT INTO good_job_concurrency_claims (key, job_id, locked_by_id, state, created_at, updated_at)
  SELECT claim.key, claim.job_id, ${processId}, 1, ${now}, ${now}
  FROM unnest(${ids}, ${keys}) AS claim(job_id, key)
  JOIN started ON started.id = claim.job_id
  ON CONFLICT DO NOTHING
)`
}

/** The jobs as they were when their rules were read, as rows. `to_jsonb` compares labels exactly, nulls included. */
const wantedJobs = (jobs: readonly AdmittedJob[], parameters: Parameters): string => {
  const rows = jobs.map(({ row }) => row)
  const ids = parameters.add(plainArray(rows.map(({ id }) => id)), 'uuid[]')
  const queues = parameters.add(textArray(rows.map(({ queue_name }) => queue_name)), 'text[]')
  const keys = parameters.add(textArray(rows.map(({ concurrency_key }) => concurrency_key)), 'text[]')
  const labels = parameters.add(textArray(rows.map((row) => row.labels && JSON.stringify(row.labels))), 'text[]')
  return `unnest(${ids}, ${queues}, ${keys}, ${labels}) AS wanted(id, queue, key, label_list)`
}

/**
 * The wanted jobs that are still due, free and unchanged, started as by a claim, in the given order. A claim that exists is granted by
 * `startJobs`.
 */
const startAdmittedText = (
  facts: Facts,
  jobs: readonly AdmittedJob[],
  options: AdmissionOptions,
  parameters: Parameters,
): string => {
  const now = parameters.add(options.now, facts.timestampType)
  const processId = parameters.add(options.processId, 'uuid')
  const pauses = options.honoursPauses ? notPaused({ ...options, selector: { kind: 'all' } }, parameters) : ''
  return `
WITH candidate AS MATERIALIZED (
  SELECT good_jobs.id, performed_at
  FROM ${wantedJobs(jobs, parameters)}
  JOIN good_jobs ON ${byKey('good_jobs.id', 'wanted.id')}
  WHERE num_nulls(finished_at, locked_by_id) = 2
    AND good_jobs.queue_name IS NOT DISTINCT FROM wanted.queue
    AND good_jobs.concurrency_key IS NOT DISTINCT FROM wanted.key
    AND to_jsonb(good_jobs.labels) IS NOT DISTINCT FROM wanted.label_list::jsonb
    AND scheduled_at <= ${parameters.add(options.dueUntil, facts.timestampType)}${pauses}
  FOR NO KEY UPDATE OF good_jobs SKIP LOCKED
),
locked AS MATERIALIZED (
  SELECT id, performed_at, ${sinceStatementBegan(now)} AS starts_at, gen_random_uuid() AS execution_id
  FROM candidate
  WHERE CASE WHEN id = ANY (${parameters.add(plainArray(options.runningIds), 'uuid[]')}) THEN false
    ${unlessClaimIsHeld(facts, 'candidate.id')}
    WHEN performed_at IS NOT NULL AND ${HAS_LOCKED_ATTEMPT} THEN false
    ELSE pg_try_advisory_lock(${jobLockKeySql('id')}) END
),
${startJobs(facts, now, processId)}${insertClaims(facts, jobs, { now, processId }, parameters)}
SELECT id, job_class, queue_name, priority, serialized_params, labels, concurrency_key, cron_key, batch_id,
  batch_callback_id, created_at, scheduled_at, executions_count, interrupted_at, execution_id
FROM started`
}

/**
 * Starts these jobs, records their places and commits the admission. Jobs that are no longer due or free, or have changed, are left
 * out of the result.
 */
export const startAdmitted = async (
  lane: PreparingSession,
  facts: Facts,
  jobs: readonly AdmittedJob[],
  options: AdmissionOptions,
): Promise<ClaimedRow[]> => {
  const parameters = new Parameters()
  const text = startAdmittedText(facts, jobs, options, parameters)
  const starting = await executed(lane, prepared('start_admitted', text, parameters.values))
  const [rows = []] = await rowsOfEach<ClaimedRow & Record<string, unknown>>(lane, [starting, 'COMMIT'])
  return rows
}
