import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'

/** A scope that unfinished jobs belong to, whether a rule counts it or not. */
export interface UsedScope {
  readonly claimKey: string
  /** Due jobs that no process has. */
  readonly waiting: number
  /** Some of the classes of its jobs. */
  readonly jobClasses: readonly string[]
}

export interface UsedScopes {
  /** Those with the most waiting jobs first. */
  readonly scopes: readonly UsedScope[]
  /** Further scopes were left out. */
  readonly hasMore: boolean
  /** Due jobs were left out: the counts are minimums. */
  readonly isCapped: boolean
}

export interface UsageOptions {
  readonly now: string
  /** Waiting jobs that are read. */
  readonly maxWaiting: number
  /** Scopes that are returned. */
  readonly limit: number
  /** The labels with rules; other labels mean something else. */
  readonly labels: readonly string[]
}

/** Classes named for each scope, at most. */
const CLASSES = 20

/** $1 now · $2 waiting jobs · $3 labels text[] · $4 scopes. Equal jobs are counted before their scopes are listed. */
const findUsedScopesText = ({ timestampType }: Facts): string => `
WITH waiting AS MATERIALIZED (
  SELECT job_class, labels, concurrency_key
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL AND scheduled_at <= $1::${timestampType}
  LIMIT $2
),
held AS MATERIALIZED (
  SELECT job_class, labels, concurrency_key
  FROM good_jobs
  WHERE locked_by_id IS NOT NULL AND finished_at IS NULL
),
alike AS MATERIALIZED (
  SELECT job_class, labels, concurrency_key, count(*) AS waiting FROM waiting GROUP BY job_class, labels, concurrency_key
  UNION ALL
  SELECT job_class, labels, concurrency_key, 0 FROM held GROUP BY job_class, labels, concurrency_key
),
in_scope AS (
  SELECT 'key:' || concurrency_key AS claim_key, job_class, waiting FROM alike WHERE concurrency_key IS NOT NULL
  UNION ALL
  SELECT 'label:' || label.text, job_class, waiting
  FROM alike CROSS JOIN LATERAL (SELECT DISTINCT btrim(label) AS text FROM unnest(labels) AS label) AS label
  WHERE label.text = ANY ($3::text[])
  UNION ALL
  SELECT 'all', job_class, waiting FROM alike
)
SELECT claim_key, sum(waiting)::int AS waiting, (array_agg(DISTINCT job_class))[1:${CLASSES}] AS job_classes,
  (SELECT sum(waiting) FROM alike) = $2 AS is_capped
FROM in_scope
GROUP BY claim_key
ORDER BY waiting DESC, claim_key
LIMIT $4`

/** Returns the scopes of unfinished jobs, as far as they were read. */
export const findUsedScopes = async (
  db: Queryable,
  facts: Facts,
  { now, maxWaiting, limit, labels }: UsageOptions,
): Promise<UsedScopes> => {
  const values = [now, maxWaiting, labels, limit + 1]
  const rows = await rowsOf<UsedRow>(db, { text: findUsedScopesText(facts), values })
  return {
    scopes: rows.slice(0, limit).map(({ claim_key, waiting, job_classes }) => ({
      claimKey: claim_key,
      waiting,
      jobClasses: job_classes.flatMap((name) => name ?? []),
    })),
    hasMore: rows.length > limit,
    isCapped: rows[0]?.is_capped ?? false,
  }
}

interface UsedRow extends Record<string, unknown> {
  readonly claim_key: string
  readonly waiting: number
  readonly job_classes: readonly (string | null)[]
  readonly is_capped: boolean
}

/** The claims of one key by state. */
export interface ClaimCounts {
  readonly key: string
  /** Jobs that run. */
  readonly granted: number
  /** Jobs that a Ruby worker refused. */
  readonly waiting: number
  /** Jobs that may try again. */
  readonly promoted: number
}

/** $1 claims that are read · $2 keys that are returned · $3 key text */
const countClaimsText = (condition: string): string => `
SELECT key, count(*) FILTER (WHERE state = 1)::int AS granted, count(*) FILTER (WHERE state = 0)::int AS waiting,
  count(*) FILTER (WHERE state IN (2, 3))::int AS promoted
FROM (SELECT key, state FROM good_job_concurrency_claims${condition} ORDER BY key, state, created_at LIMIT $1) AS claim
GROUP BY key
ORDER BY count(*) DESC, key
LIMIT $2`

/** Counts the claims of each key, or of one; those with the most claims first. */
export const countClaims = async (
  db: Queryable,
  { hasConcurrencyClaims }: Facts,
  { maxClaims, limit, key }: { readonly maxClaims: number; readonly limit: number; readonly key?: string },
): Promise<ClaimCounts[]> => {
  if (!hasConcurrencyClaims) return []
  const text = countClaimsText(key === undefined ? '' : ' WHERE key = $3')
  const values = [maxClaims, limit, ...(key === undefined ? [] : [key])]
  return rowsOf<ClaimCounts & Record<string, unknown>>(db, { text, values })
}
