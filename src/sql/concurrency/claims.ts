import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { byKey } from '../text.ts'

/**
 * The table good_job_concurrency_claims of GoodJob 4.21 and later. Ruby counts the running rows of a rule's scope, except those with a
 * claim that is not granted: they were refused and are about to say so. It promotes a waiting job when a claim goes.
 * GoodJob 4.23.1 concurrency_claim.rb. States: 0 waiting, 1 granted, 2 promotion pending, 3 promoted.
 */

/** False at once, and once for each statement, while the table is empty. */
const HAS_CLAIMS = '(SELECT EXISTS (SELECT 1 FROM good_job_concurrency_claims))'

// By key, so that no plan reads the whole table: a backlog that waits may be long.
const claimOf = (job: string): string => `SELECT id FROM good_job_concurrency_claims WHERE ${byKey('job_id', job)}`

/**
 * A WHEN of a CASE: passes by a job while another session holds one of its claims, else locks them. Whoever promotes a waiting job locks
 * its claim and then its row; a start has the row and must not wait for the claim.
 */
export const unlessClaimIsHeld = ({ hasConcurrencyClaims }: Facts, job: string): string =>
  hasConcurrencyClaims
    ? `WHEN ${HAS_CLAIMS}
      AND (SELECT count(*) FROM (${claimOf(job)}) AS claim) <> (SELECT count(*) FROM (${claimOf(job)} FOR UPDATE SKIP LOCKED) AS free) THEN false`
    : ''

/**
 * A CTE that makes every claim of the jobs in `started` a granted one of this process. A refused job keeps its claim; run with it, Ruby
 * would not count it and exceed the limit by this job. `now` and `processId` are placeholders.
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

/** Whether the start of this job must be visible at once: it has claims, or some rule counts all jobs. */
export const isClaimed = ({ hasConcurrencyClaims }: Facts, job: string): string =>
  hasConcurrencyClaims
    ? `CASE WHEN ${HAS_CLAIMS}
    THEN EXISTS (${claimOf(job)}) OR (SELECT EXISTS (SELECT 1 FROM good_job_concurrency_claims WHERE key = 'all')) ELSE false END`
    : 'false'

/** Whether the end of the job in this row frees a place that is claimed, or that another job waits for. */
export const freesPlace = ({ hasConcurrencyClaims }: Facts, row: string): string =>
  hasConcurrencyClaims
    ? `CASE WHEN ${HAS_CLAIMS} THEN EXISTS (${claimOf(`${row}.id`)}) OR EXISTS (
    SELECT 1 FROM good_job_concurrency_claims
    WHERE state = 0
      AND key = ANY (ARRAY['all', 'key:' || ${row}.concurrency_key] || ARRAY(SELECT 'label:' || btrim(label) FROM unnest(${row}.labels) AS label))
  ) ELSE false END`
    : 'false'

/** A job whose attempt has ended, and what the rules of Ruby find it by. */
export interface EndedJob {
  readonly id: string
  readonly labels: readonly string[] | null
  readonly concurrency_key: string | null
}

export interface Promoter {
  readonly processId: string
  /** When the waiting jobs are due. */
  readonly now: string
  /** Whether workers are told of them. */
  readonly notifies: boolean
}

// A claim that another session holds is left to it; once the job has finished, any cleanup of jobs deletes it.
/** $1 job ids uuid[] · $2 process uuid */
const RELEASE_CLAIMS_OF_JOBS = `
DELETE FROM good_job_concurrency_claims
WHERE id IN (
  SELECT id FROM good_job_concurrency_claims WHERE job_id = ANY ($1::uuid[]) AND locked_by_id = $2::uuid FOR UPDATE SKIP LOCKED
)
RETURNING job_id, key`

/**
 * Frees the places of jobs that have ended: deletes their claims and promotes one waiting job for each. A job without a claim was
 * counted by its labels and its key. To be called in a transaction after the commit of the outcome, as Ruby does: until then the claims
 * are granted ones of this process, and a crash in between leaves them to whoever cleans up after it.
 */
export const freePlaces = async (
  db: Queryable,
  facts: Facts,
  jobs: readonly EndedJob[],
  promoter: Promoter,
): Promise<void> => {
  if (jobs.length === 0 || !facts.hasConcurrencyClaims) return
  const values = [jobs.map(({ id }) => id), promoter.processId]
  const released = await rowsOf<{ job_id: string; key: string }>(db, { text: RELEASE_CLAIMS_OF_JOBS, values })
  const freed = jobs.flatMap((job) => {
    const claimed = released.filter(({ job_id }) => job_id === job.id).map(({ key }) => key)
    return [...new Set([...claimed, ...keysOf(job)])]
  })
  await promoteWaiting(db, facts, freed, promoter)
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

/** Deletes the granted claims of dead processes and promotes one waiting job for each; the caller has a transaction. */
export const freePlacesOfProcesses = async (
  db: Queryable,
  facts: Facts,
  ids: readonly string[],
  promoter: Promoter,
): Promise<void> => {
  if (ids.length === 0 || !facts.hasConcurrencyClaims) return
  const released = await rowsOf<{ key: string }>(db, { text: RELEASE_CLAIMS_OF_PROCESSES, values: [ids] })
  await promoteWaiting(
    db,
    facts,
    released.map(({ key }) => key),
    promoter,
  )
}

// Claims of jobs that have finished or are gone are passed by; the cleanup of jobs deletes them.
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
 * $1 claim ids uuid[] · $2 now · $3 notifies bool. A waiting job is due now. One that is still inside its refused attempt gets state 2:
 * the end of that attempt makes it due. One whose row another session has is about to start, or waits as before.
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
)
SELECT pg_notify('good_job', json_build_object('queue_name', queue_name)::text) FROM due WHERE $3::bool`

/**
 * GoodJob 4.23.1 concurrency_claim.rb#promote_next, for many keys: one waiting job, the oldest first, as often as a key is named. The
 * claims are locked by a statement of their own, so that the next one sees whether the attempt of each was over by then; nothing is
 * waited for.
 */
const promoteWaiting = async (
  db: Queryable,
  facts: Facts,
  keys: readonly string[],
  { now, notifies }: Promoter,
): Promise<void> => {
  const places = new Map<string, number>()
  for (const key of keys) places.set(key, (places.get(key) ?? 0) + 1)
  if (places.size === 0) return
  const claims = await rowsOf<{ id: string }>(db, {
    text: LOCK_WAITING_CLAIMS,
    values: [[...places.keys()], [...places.values()]],
  })
  if (claims.length === 0) return
  await rowsOf(db, { text: promoteText(facts), values: [claims.map(({ id }) => id), now, notifies] })
}
