import type { Throttle } from '../../concurrency-option.ts'
import { columnText, timeAfter } from '../../time.ts'
import { type Queryable, rowsOf, type Statement } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { Parameters, plainArray, textArray } from '../text.ts'
import { type ScopeKind, splitClaimKey } from './scope.ts'

/** A throttle of a scope: at most `count` starts after `since`. */
export interface ScopeWindow {
  readonly claimKey: string
  readonly count: number
  /** Beginning of the window, ISO text. */
  readonly since: string
}

/** The window of a throttle that ends now. Postgres needs an integer as count; a fraction of a start cannot be used. */
export const windowOf = (claimKey: string, { count, seconds }: Throttle, now: Date): ScopeWindow => ({
  claimKey,
  count: Math.ceil(count),
  since: columnText(timeAfter(now.getTime(), -seconds * 1_000)),
})

/** GoodJob 4.23.1 concurrency.rb: the error of attempts that a throttle refused; they do not count. */
const THROTTLED = 'GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError'

/** A throttle in a statement: columns of a row, or parameters. */
interface ThrottleText {
  readonly value: string
  readonly since: string
}

const IN_SCOPE: Readonly<Record<ScopeKind, (value: string) => string>> = {
  key: (value) => `concurrency_key = ${value}`,
  label: (value) => `labels @> ARRAY[${value}]`,
  all: () => 'true',
}

const startsOf = (kind: ScopeKind, { value, since }: ThrottleText): string => `
    SELECT good_job_executions.created_at
    FROM good_jobs
    JOIN good_job_executions ON good_job_executions.active_job_id = good_jobs.active_job_id
    WHERE ${IN_SCOPE[kind](value)}
      AND (good_jobs.finished_at > ${since} OR (good_jobs.finished_at IS NULL AND executions_count > 0))
      AND good_job_executions.created_at > ${since}
      AND good_job_executions.error IS DISTINCT FROM '${THROTTLED}: ${THROTTLED}'`

/** From this number of throttles on, the time for planning the statement of each matters more than the plan. */
const MANY_THROTTLES = 8

/**
 * The values are parameters of the throttles themselves: the planner must know whether the scope has few jobs, or few jobs started
 * within the window.
 */
const findStartsOfFew = ({ timestampType }: Facts, windows: readonly ScopeWindow[]): Statement => {
  const parameters = new Parameters()
  const parts = windows.map(({ claimKey, since, count }, index) => {
    const { kind, value } = splitClaimKey(claimKey)
    const throttle = {
      value: kind === 'all' ? '' : parameters.add(value, 'text'),
      since: parameters.add(since, timestampType),
    }
    return `
  (SELECT ${index + 1} AS number, created_at FROM (${startsOf(kind, throttle)}
  ) AS execution
  ORDER BY created_at DESC
  LIMIT ${parameters.add(count, 'int')})`
  })
  const text = `
SELECT number, created_at
FROM (${parts.join('\n  UNION ALL')}
) AS started
ORDER BY number, created_at DESC`
  return { text, values: parameters.values }
}

const ROW: ThrottleText = { value: 'throttle.value', since: 'throttle.since' }

/** $1 kinds text[] · $2 labels or keys text[] · $3 since timestamp[] · $4 counts int[] */
const findStartsText = (facts: Facts): string => `
SELECT throttle.number::int, started.created_at
FROM unnest($1::text[], $2::text[], $3::${facts.timestampType}[], $4::int[]) WITH ORDINALITY AS throttle(kind, value, since, places, number)
CROSS JOIN LATERAL (
  SELECT created_at FROM (${(['key', 'label', 'all'] as const)
    .map(
      (kind) => `${startsOf(kind, ROW)}
      AND throttle.kind = '${kind}'`,
    )
    .join('\n    UNION ALL')}
  ) AS execution
  ORDER BY created_at DESC
  LIMIT throttle.places
) AS started
ORDER BY throttle.number, started.created_at DESC`

const findStartsOfMany = (facts: Facts, windows: readonly ScopeWindow[]): Statement => {
  const scopes = windows.map(({ claimKey }) => splitClaimKey(claimKey))
  const values = [
    textArray(scopes.map(({ kind }) => kind)),
    textArray(scopes.map(({ value }) => value)),
    plainArray(windows.map(({ since }) => since)),
    plainArray(windows.map(({ count }) => count)),
  ]
  return { text: findStartsText(facts), values }
}

/** Returns the starts within each window, the newest first, at most `count` of them. */
export const findStarts = async (
  db: Queryable,
  facts: Facts,
  windows: readonly ScopeWindow[],
): Promise<ReadonlyMap<ScopeWindow, readonly string[]>> => {
  if (windows.length === 0) return new Map()
  const statement = windows.length < MANY_THROTTLES ? findStartsOfFew(facts, windows) : findStartsOfMany(facts, windows)
  const rows = await rowsOf<{ number: number; created_at: string }>(db, statement)
  return new Map(
    windows.map((window, index) => [
      window,
      rows.filter(({ number }) => number === index + 1).map(({ created_at }) => created_at),
    ]),
  )
}
