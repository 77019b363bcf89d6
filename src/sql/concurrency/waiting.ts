import { type CandidateOptions, candidateOrder, queuePredicate } from '../claim/candidates.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { notPaused } from '../pauses.ts'
import { Parameters, preparedUnlessPooled } from '../text.ts'
import { type LimitedJobs, type LimitedRow, limitedRow, notFull } from './limited.ts'
import { type ScopeKind, splitClaimKey } from './scope.ts'

export interface WaitingOptions
  extends Pick<CandidateOptions, 'selector' | 'jobClasses' | 'sort' | 'honoursPauses' | 'dueUntil'> {
  /** Full scopes: their jobs are left out, as those that are known already. */
  readonly limits: LimitedJobs
  /** Jobs to return for each scope, at most. */
  readonly perScope: number
}

/** A scope whose waiting jobs are read. */
export interface WaitingScope {
  readonly claimKey: string
  /** The classes whose jobs wait in this scope; claims return the jobs of other classes. */
  readonly jobClasses: readonly string[]
  /**
   * Whether many of the jobs at the head belong to it. Then the jobs are read in their order until enough are found; otherwise all
   * jobs of the scope are found by its index, and sorted.
   */
  readonly isDense: boolean
}

/** A condition that an index can serve, and one that none can. */
const IN_SCOPE: Readonly<Record<ScopeKind, { readonly sparse: string; readonly dense: string }>> = {
  key: { sparse: 'concurrency_key = scope.value', dense: '(concurrency_key = scope.value) IS TRUE' },
  label: { sparse: 'labels @> ARRAY[scope.value]', dense: 'scope.value = ANY (labels)' },
  all: { sparse: 'true', dense: 'true' },
}

const waitingText = (
  facts: Facts,
  { kind, isDense, options }: { readonly kind: ScopeKind; readonly isDense: boolean; readonly options: WaitingOptions },
  scopes: readonly WaitingScope[],
  parameters: Parameters,
): string => {
  const { limits } = options
  const values = parameters.add(
    scopes.map(({ claimKey }) => splitClaimKey(claimKey).value),
    'text[]',
  )
  const claimKeys = parameters.add(
    scopes.map(({ claimKey }) => claimKey),
    'text[]',
  )
  const pairs = scopes.flatMap(({ claimKey, jobClasses }) => jobClasses.map((jobClass) => ({ claimKey, jobClass })))
  const classes = {
    jobClasses: parameters.add(
      pairs.map(({ jobClass }) => jobClass),
      'text[]',
    ),
    claimKeys: parameters.add(
      pairs.map(({ claimKey }) => claimKey),
      'text[]',
    ),
  }
  const waiting = `
    SELECT ${limitedRow(limits, parameters)}
    FROM good_jobs
    WHERE finished_at IS NULL AND locked_by_id IS NULL
      AND ${IN_SCOPE[kind][isDense ? 'dense' : 'sparse']}
      AND scheduled_at <= ${parameters.add(options.dueUntil, facts.timestampType)}
      AND (job_class, scope.claim_key) IN (SELECT * FROM unnest(${classes.jobClasses}, ${classes.claimKeys}))${notFull(limits, parameters)}${options.honoursPauses ? notPaused(options, parameters) : ''}
      ${queuePredicate(options.selector, parameters)}`
  // OFFSET 0 keeps the order from being a reason to choose an index.
  return `
SELECT scope.claim_key, job.*
FROM unnest(${claimKeys}, ${values}) AS scope(claim_key, value)
CROSS JOIN LATERAL (
  SELECT * FROM (${waiting}${isDense ? '' : '\n    OFFSET 0'}
  ) AS waiting
  ORDER BY ${candidateOrder(options, parameters, 'waiting')}
  LIMIT ${options.perScope}
) AS job`
}

/** Returns the first due jobs of each scope, in the order in which a pool starts them. They are neither locked nor started. */
export const findWaitingInScopes = async (
  db: Queryable,
  facts: Facts,
  scopes: readonly WaitingScope[],
  options: WaitingOptions,
): Promise<(LimitedRow & { readonly claim_key: string })[]> => {
  const rows: (LimitedRow & { readonly claim_key: string })[] = []
  for (const kind of ['label', 'key', 'all'] as const) {
    for (const isDense of [true, false]) {
      const some = scopes.filter((scope) => scope.isDense === isDense && splitClaimKey(scope.claimKey).kind === kind)
      if (some.length === 0) continue
      const parameters = new Parameters()
      const text = waitingText(facts, { kind, isDense, options }, some, parameters)
      rows.push(
        ...(await rowsOf<(typeof rows)[number]>(
          db,
          preparedUnlessPooled(facts, 'find_waiting', text, parameters.values),
        )),
      )
    }
  }
  return rows
}
