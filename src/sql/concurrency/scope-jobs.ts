import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { hasUngrantedClaim } from './claims.ts'
import { IS_RUNNING, type ScopeKind, splitClaimKey } from './scope.ts'

/** A running job that takes a place in a scope. */
export interface Holder {
  readonly claim_key: string
  readonly id: string
  readonly job_class: string | null
  /** Id of its process. */
  readonly locked_by_id: string
  /** When its attempt began. */
  readonly performed_at: string
}

/** $1 claim keys text[] · $2 jobs of each scope. The rows that admission.ts counts. */
const findHoldersText = (facts: Facts): string => `
WITH running AS MATERIALIZED (
  SELECT id, job_class, locked_by_id, performed_at, labels, concurrency_key
  FROM good_jobs
  WHERE ${IS_RUNNING}
)
SELECT scope.claim_key, holder.*
FROM unnest($1::text[]) AS scope(claim_key)
CROSS JOIN LATERAL (
  SELECT id, job_class, locked_by_id, performed_at
  FROM running
  WHERE (scope.claim_key = 'all'
      OR scope.claim_key = 'key:' || concurrency_key
      OR scope.claim_key = ANY (ARRAY(SELECT 'label:' || label FROM unnest(labels) AS label)))${hasUngrantedClaim(facts, 'running.id', 'scope.claim_key', 'AND NOT')}
  ORDER BY performed_at, id
  LIMIT $2
) AS holder`

/** Returns the jobs that run in each scope, those that began first first. */
export const findHolders = (
  db: Queryable,
  facts: Facts,
  claimKeys: readonly string[],
  perScope: number,
): Promise<Holder[]> =>
  rowsOf<Holder & Record<string, unknown>>(db, { text: findHoldersText(facts), values: [claimKeys, perScope] })

/** A due job of a scope. */
export interface NextJob {
  readonly id: string
  readonly job_class: string | null
  readonly queue_name: string | null
  readonly priority: number | null
  readonly scheduled_at: string
}

export interface WaitingInScope {
  /** In the order in which workers start them. */
  readonly next: readonly NextJob[]
  readonly waiting: number
  /** More jobs may wait. */
  readonly isCapped: boolean
}

export interface WaitingInScopeOptions {
  readonly now: string
  /** Jobs to return. */
  readonly limit: number
  /** Jobs to count. */
  readonly maxWaiting: number
}

/**
 * Conditions on unfinished rows. The index of labels does not serve them: most rows with a label have finished.
 * `ordered` keeps the planner off the index of keys, too, so that it reads the rows in their order.
 */
const IN_SCOPE: Readonly<Record<ScopeKind, { readonly counted: string; readonly ordered: string }>> = {
  label: { counted: '$1 = ANY (labels)', ordered: '$1 = ANY (labels)' },
  key: { counted: 'concurrency_key = $1', ordered: '(concurrency_key = $1) IS TRUE' },
  all: { counted: '$1 = $1', ordered: '$1 = $1' },
}

const COLUMNS = 'id, job_class, queue_name, priority, scheduled_at'

/** $1 label or key · $2 now */
const waitingText = ({ timestampType }: Facts, condition: string): string => `
  SELECT ${COLUMNS}, created_at
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL AND ${condition} AND scheduled_at <= $2::${timestampType}`

/** $3 rows to read · $4 jobs. Exact unless that number of rows was read. */
const countedText = (facts: Facts, kind: ScopeKind): string => `
WITH waiting AS MATERIALIZED (${waitingText(facts, IN_SCOPE[kind].counted)}
  LIMIT $3
)
SELECT (SELECT count(*)::int FROM waiting) AS waiting, ${COLUMNS}
FROM waiting
ORDER BY priority, created_at
LIMIT $4`

/** $3 jobs. Soon ended for a scope with many jobs. */
const orderedText = (facts: Facts, kind: ScopeKind): string => `
SELECT ${COLUMNS}
FROM (${waitingText(facts, IN_SCOPE[kind].ordered)}
  ORDER BY priority, created_at
  LIMIT $3
) AS waiting`

/** Returns the due jobs of a scope: how many there are, and the first of them. */
export const findWaitingInScope = async (
  db: Queryable,
  facts: Facts,
  claimKey: string,
  { now, limit, maxWaiting }: WaitingInScopeOptions,
): Promise<WaitingInScope> => {
  const { kind, value } = splitClaimKey(claimKey)
  const counted = await rowsOf<NextJob & { readonly waiting: number } & Record<string, unknown>>(db, {
    text: countedText(facts, kind),
    values: [value, now, maxWaiting, limit],
  })
  const waiting = counted[0]?.waiting ?? 0
  if (waiting < maxWaiting) {
    return { next: counted.map(({ waiting: _waiting, ...job }) => job), waiting, isCapped: false }
  }
  const ordered = { text: orderedText(facts, kind), values: [value, now, limit] }
  return { next: await rowsOf<NextJob & Record<string, unknown>>(db, ordered), waiting, isCapped: true }
}

/** A job with a claim that is not granted. */
export interface ClaimedJob {
  readonly job_id: string
  readonly state: 'waiting' | 'promoted'
  readonly created_at: string
}

/** $1 key text · $2 limit. GoodJob 4.23.1 concurrency_claim.rb#promote_next takes the oldest first. */
const FIND_UNGRANTED_CLAIMS = `
SELECT job_id, CASE state WHEN 0 THEN 'waiting' ELSE 'promoted' END AS state, created_at
FROM good_job_concurrency_claims
WHERE key = $1 AND state <> 1
ORDER BY created_at, job_id
LIMIT $2`

/** Returns the jobs that Ruby refused in a scope, in the order in which it promotes them. */
export const findUngrantedClaims = async (
  db: Queryable,
  { hasConcurrencyClaims }: Facts,
  key: string,
  limit: number,
): Promise<ClaimedJob[]> =>
  hasConcurrencyClaims
    ? rowsOf<ClaimedJob & Record<string, unknown>>(db, { text: FIND_UNGRANTED_CLAIMS, values: [key, limit] })
    : []
