import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { byKey, plainArray, prepared, textArray } from '../text.ts'
import { freedMessage, NODE_CHANNEL, NOTIFY_FREED } from './freed-message.ts'

/**
 * The table good_job_concurrency_claims of GoodJob 4.21 and later. Ruby counts the running rows of a rule's scope, except those
 * with a claim that is not granted: such a job was refused and is about to record that. Ruby promotes a waiting job when a claim is
 * deleted. GoodJob 4.23.1 concurrency_claim.rb. States: 0 waiting, 1 granted, 2 promotion pending, 3 promoted.
 */

/** Evaluated once for each statement, and false at once while the table is empty. */
const HAS_CLAIMS = '(SELECT EXISTS (SELECT 1 FROM good_job_concurrency_claims))'

// Looked up by key, so that no plan reads the whole table: a backlog of waiting claims may be long.
const claimOf = (job: string): string => `SELECT id FROM good_job_concurrency_claims WHERE ${byKey('job_id', job)}`

/**
 * A WHEN of a CASE: skips a job while another session has locked one of its claims, otherwise locks the claims. A session that
 * promotes a waiting job locks its claim and then its row. A start has the row already and must not wait for the claim.
 */
export const unlessClaimIsHeld = ({ hasConcurrencyClaims }: Facts, job: string): string =>
  hasConcurrencyClaims
    ? `WHEN ${HAS_CLAIMS}
      AND (SELECT count(*) FROM (${claimOf(job)}) AS claim) <> (SELECT count(*) FROM (${claimOf(job)} FOR UPDATE SKIP LOCKED) AS free) THEN false`
    : ''

/**
 * A CTE that makes every claim of the jobs in `started` a granted one of this process. A refused job keeps its claim. If the job
 * ran with that claim, Ruby would not count the job and exceed the limit by one. `now` and `processId` are placeholders.
 */
export const grantClaims = ({ hasConcurrencyClaims }: Facts, now: string, processId: string): string =>
  hasConcurrencyClaims
    ? `,
granted AS (
  UPDATE good_job_concurrency_claims
  SET state = 1, locked_by_id = ${processId}, updated_at = ${now}
  FROM started
  WHERE ${HAS_CLAIMS} AND ${byKey('good_job_concurrency_claims.job_id', 'started.id')}
)`
    : ''

/** True if the start of this job must be visible at once: the job has claims, or a rule counts all jobs. */
export const isClaimed = ({ hasConcurrencyClaims }: Facts, job: string): string =>
  hasConcurrencyClaims
    ? `CASE WHEN ${HAS_CLAIMS}
    THEN EXISTS (${claimOf(job)}) OR (SELECT EXISTS (SELECT 1 FROM good_job_concurrency_claims WHERE key = 'all')) ELSE false END`
    : 'false'

/** True if the end of the job in this row frees a place that is claimed, or that another job waits for. */
export const freesPlace = ({ hasConcurrencyClaims }: Facts, row: string): string =>
  hasConcurrencyClaims
    ? `CASE WHEN ${HAS_CLAIMS} THEN EXISTS (${claimOf(`${row}.id`)}) OR EXISTS (
    SELECT 1 FROM good_job_concurrency_claims
    WHERE state = 0
      AND key = ANY (ARRAY['all', 'key:' || ${row}.concurrency_key] || ARRAY(SELECT 'label:' || btrim(label) FROM unnest(${row}.labels) AS label))
  ) ELSE false END`
    : 'false'

/** ` AND …` about a claim of the job that is not granted: Ruby refused the job under this key, and it does not count as running. */
export const hasUngrantedClaim = (
  { hasConcurrencyClaims }: Facts,
  job: string,
  key: string,
  and: 'AND' | 'AND NOT',
): string =>
  hasConcurrencyClaims
    ? `
  ${and} EXISTS (SELECT 1 FROM good_job_concurrency_claims AS claim WHERE ${byKey('claim.job_id', job)} AND claim.key = ${key} AND claim.state <> 1)`
    : ''

/** A rule that refused a job: the job waits until a place under its key is free. */
export interface WaitingClaim {
  readonly key: string
  readonly created_at: string
}

/** $1 job uuid */
const FIND_WAITING_CLAIMS = `
SELECT key, created_at FROM good_job_concurrency_claims WHERE ${byKey('job_id', '$1::uuid')} AND state = 0 ORDER BY created_at, key`

/** The claims with which a job waits, the oldest first. */
export const findWaitingClaims = async (
  db: Queryable,
  { hasConcurrencyClaims }: Facts,
  jobId: string,
): Promise<WaitingClaim[]> =>
  hasConcurrencyClaims
    ? rowsOf<WaitingClaim & Record<string, unknown>>(db, { text: FIND_WAITING_CLAIMS, values: [jobId] })
    : []

/** A job whose attempt has ended, and the columns by which the rules of Ruby find it. */
export interface EndedJob {
  readonly id: string
  /** The scopes in which a rule of a class in Node gave it a place. */
  readonly claimKeys: readonly string[]
  readonly labels: readonly string[] | null
  readonly concurrency_key: string | null
}

export interface Promoter {
  readonly processId: string
  /** The time at which the promoted jobs become due. */
  readonly now: string
  /** Whether workers are notified of them. */
  readonly notifies: boolean
}

// A claim that another session has locked is skipped; once the job has finished, any cleanup of jobs deletes it. One statement: in
// nearly every case no job waits with a claim, and there is nothing else to do.
/** $1 job ids uuid[] · $2 process uuid · $3 keys that the jobs counted under text[] · $4 message to other workers in Node, or '' */
const RELEASE_CLAIMS_OF_JOBS = `
WITH released AS (
  DELETE FROM good_job_concurrency_claims
  WHERE id IN (
    SELECT id FROM good_job_concurrency_claims WHERE job_id = ANY ($1::uuid[]) AND locked_by_id = $2::uuid FOR UPDATE SKIP LOCKED
  )
  RETURNING job_id, key
)
SELECT job_id::text, key FROM released
UNION ALL
SELECT NULL, freed.key FROM unnest($3::text[]) AS freed(key)
WHERE EXISTS (SELECT FROM good_job_concurrency_claims AS claim WHERE claim.state = 0 AND ${byKey('claim.key', 'freed.key')})
UNION ALL
SELECT NULL, NULL FROM (SELECT pg_notify('${NODE_CHANNEL}', $4::text) WHERE $4::text <> '') AS notified`

/**
 * Frees the places of jobs that have ended: deletes their claims and tells the workers in Node. Returns the keys for which
 * `promoteWaiting` must be called, one for each place; empty in nearly every case, as no job waits with a claim. A job without a
 * claim was counted by its labels and its key. Call it after the commit of the outcome, as Ruby does. Until then the claims are
 * granted to this process. If the process crashes in between, the cleanup of dead processes deletes them.
 */
export const freePlaces = async (
  db: Queryable,
  facts: Facts,
  jobs: readonly EndedJob[],
  promoter: Promoter,
): Promise<readonly string[]> => {
  const message = promoter.notifies ? freedMessage(promoter.processId, jobs) : ''
  if (!facts.hasConcurrencyClaims) {
    if (message !== '') await rowsOf(db, { text: NOTIFY_FREED, values: [message] })
    return []
  }
  if (jobs.length === 0) return []
  const keys = [...new Set(jobs.flatMap(keysOf))]
  const statement = prepared('release_claims', RELEASE_CLAIMS_OF_JOBS, [
    plainArray(jobs.map(({ id }) => id)),
    promoter.processId,
    textArray(keys),
    message,
  ])
  const rows = await rowsOf<{ job_id: string | null; key: string | null }>(db, statement)
  const released = rows.filter(({ job_id }) => job_id !== null)
  const waits = rows.some(({ job_id, key }) => key !== null && (job_id === null || !keys.includes(key)))
  if (!waits) return []
  return jobs.flatMap((job) => {
    const claimed = released.flatMap(({ job_id, key }) => (job_id === job.id ? (key ?? []) : []))
    return [...new Set([...claimed, ...keysOf(job)])]
  })
}

/** GoodJob 4.23.1 concurrency.rb#scoped_key. */
const keysOf = ({ labels, concurrency_key }: EndedJob): string[] => [
  'all',
  ...(concurrency_key === null ? [] : [`key:${concurrency_key}`]),
  ...(labels ?? []).map((label) => `label:${label.trim()}`),
]

/** $1 dead process ids uuid[] */
const RELEASE_CLAIMS_OF_PROCESSES = `
DELETE FROM good_job_concurrency_claims
WHERE id IN (
  SELECT id FROM good_job_concurrency_claims WHERE state = 1 AND locked_by_id = ANY ($1::uuid[]) FOR UPDATE SKIP LOCKED
)
RETURNING key`

/** Deletes the granted claims of dead processes and promotes one waiting job for each. Returns the keys of those. Call it in a transaction. */
export const freePlacesOfProcesses = async (
  db: Queryable,
  facts: Facts,
  ids: readonly string[],
  promoter: Promoter,
): Promise<string[]> => {
  if (ids.length === 0 || !facts.hasConcurrencyClaims) return []
  const released = await rowsOf<{ key: string }>(db, { text: RELEASE_CLAIMS_OF_PROCESSES, values: [ids] })
  return promoteWaiting(
    db,
    facts,
    released.map(({ key }) => key),
    promoter,
  )
}

// Claims of finished or missing jobs are skipped; the cleanup of jobs deletes them.
/** $1 keys text[] · $2 places int[] */
const LOCK_WAITING_CLAIMS = `
SELECT claim.id
FROM unnest($1::text[], $2::int[]) AS freed(key, places)
CROSS JOIN LATERAL (
  SELECT id
  FROM good_job_concurrency_claims
  WHERE state = 0
    AND good_job_concurrency_claims.key = freed.key
    AND EXISTS (SELECT 1 FROM good_jobs WHERE ${byKey('good_jobs.id', 'job_id')} AND finished_at IS NULL)
  ORDER BY created_at
  LIMIT freed.places
  FOR UPDATE SKIP LOCKED
) AS claim`

/**
 * $1 claim ids uuid[] · $2 now · $3 notifies bool. A waiting job becomes due now. A job that is still inside its refused attempt
 * gets state 2: the end of that attempt makes it due. A job whose row another session has locked is about to start, or continues to
 * wait.
 */
const promoteText = ({ timestampType }: Facts): string => `
WITH claim AS MATERIALIZED (
  SELECT id, job_id FROM good_job_concurrency_claims WHERE id = ANY ($1::uuid[])
),
idle AS MATERIALIZED (
  SELECT good_jobs.id
  FROM claim
  JOIN good_jobs ON good_jobs.id = claim.job_id
  WHERE performed_at IS NULL AND finished_at IS NULL
  FOR NO KEY UPDATE OF good_jobs SKIP LOCKED
),
due AS (
  UPDATE good_jobs SET scheduled_at = $2::${timestampType} FROM idle WHERE good_jobs.id = idle.id
  RETURNING good_jobs.id, queue_name
),
promoted AS (
  UPDATE good_job_concurrency_claims
  SET state = CASE WHEN due.id IS NULL THEN 2 ELSE 3 END, updated_at = $2::${timestampType}
  FROM claim
  JOIN good_jobs ON good_jobs.id = claim.job_id
  LEFT JOIN due ON due.id = claim.job_id
  WHERE good_job_concurrency_claims.id = claim.id AND (due.id IS NOT NULL OR performed_at IS NOT NULL)
  RETURNING key
)
SELECT key, (
  SELECT count(pg_notify('good_job', json_build_object('queue_name', queue_name)::text))::int FROM due WHERE $3::bool
) AS notified
FROM promoted`

/**
 * GoodJob 4.23.1 concurrency_claim.rb#promote_next, for many keys: promotes the oldest waiting jobs, one for each time a key is
 * named. Returns the keys of the jobs that were promoted. A separate statement locks the claims, so that the next one sees whether
 * the attempt of each job was over by then. Neither waits for a lock. Call it in a transaction.
 */
export const promoteWaiting = async (
  db: Queryable,
  facts: Facts,
  keys: readonly string[],
  { now, notifies }: Promoter,
): Promise<string[]> => {
  const places = new Map<string, number>()
  for (const key of keys) places.set(key, (places.get(key) ?? 0) + 1)
  if (places.size === 0) return []
  const claims = await rowsOf<{ id: string }>(db, {
    text: LOCK_WAITING_CLAIMS,
    values: [[...places.keys()], [...places.values()]],
  })
  if (claims.length === 0) return []
  const values = [claims.map(({ id }) => id), now, notifies]
  const promoted = await rowsOf<{ key: string }>(db, { text: promoteText(facts), values })
  return promoted.map(({ key }) => key)
}
