import type { Scope } from '../../job/concurrency/scopes.ts'
import { jobLockKeySql } from '../advisory-lock.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { Parameters, plainArray, textArray } from '../text.ts'
import { type ScopeKind, splitClaimKey } from './scope.ts'

/**
 * What to count in a scope: unfinished jobs; waiting jobs, which are the unfinished ones that no worker has locked; or the jobs that were
 * created within the last `seconds`, finished ones included.
 */
export type ScopeCount =
  | { readonly scope: Scope; readonly kind: 'unfinished' | 'waiting' }
  | { readonly scope: Scope; readonly kind: 'created'; readonly seconds: number }

/** The rows of a scope; the text of `scope` is the label or the key. */
const CONDITIONS = {
  label: 'labels && ARRAY[scope.text]',
  key: 'concurrency_key = scope.text',
  all: 'true',
} as const satisfies Record<ScopeKind, string>

/** GoodJob 4.23.1 concurrency.rb#check_enqueue. */
const KINDS = {
  unfinished: 'finished_at IS NULL',
  waiting: `finished_at IS NULL AND locked_by_id IS NULL AND ${jobLockKeySql('id')} NOT IN (SELECT key FROM advisory)`,
  created: 'created_at > scope.now - make_interval(secs => scope.seconds)',
} as const

/** Ruby joins the locks of all databases; the key of a job's lock is unique anyway. */
const ADVISORY = `
WITH advisory AS MATERIALIZED (
  SELECT (classid::bigint << 32) | objid::bigint AS key FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
)`

/** A longer time than this has no timestamp. All jobs are younger. */
const MAX_SECONDS = 1e10

/**
 * Counts jobs for enqueue rules, under the locks of the scopes; returns one number for each. The statement is not prepared: a plan that was
 * made over an empty table would be kept while the table grows.
 */
export const countScopes = async (
  db: Queryable,
  { timestampType }: Facts,
  counts: readonly ScopeCount[],
  now: string,
): Promise<number[]> => {
  const parameters = new Parameters()
  const parts = [...grouped(counts)].map(([part, places]) => {
    const [condition, kind] = part.split(' ') as [ScopeKind, ScopeCount['kind']]
    const of = places.map((place) => counts[place] as ScopeCount)
    const place = parameters.add(plainArray(places), 'int[]')
    const text = parameters.add(textArray(of.map(({ scope }) => splitClaimKey(scope.claimKey).value)), 'text[]')
    const seconds = parameters.add(plainArray(of.map(secondsOf)), 'float8[]')
    const since = parameters.add(plainArray(of.map(() => now)), `${timestampType}[]`)
    return `
SELECT scope.place, (
  SELECT count(*) FROM good_jobs
  WHERE ${CONDITIONS[condition]} AND ${KINDS[kind]}
)::int AS jobs
FROM unnest(${[place, text, seconds, since].join(', ')}) AS scope(place, text, seconds, now)`
  })
  const isAdvisory = counts.some(({ kind }) => kind === 'waiting')
  const text = `${isAdvisory ? ADVISORY : ''}${parts.join('\nUNION ALL')}`
  const rows = await rowsOf<{ place: number; jobs: number }>(db, { text: text.trimStart(), values: parameters.values })
  const jobs = new Map(rows.map((row) => [row.place, row.jobs]))
  return counts.map((_, place) => jobs.get(place) ?? 0)
}

/** The places of the counts in the list, by the text of the statement that counts them. */
const grouped = (counts: readonly ScopeCount[]): Map<string, number[]> => {
  const groups = new Map<string, number[]>()
  for (const [place, { scope, kind }] of counts.entries()) {
    const part = `${splitClaimKey(scope.claimKey).kind} ${kind}`
    groups.set(part, [...(groups.get(part) ?? []), place])
  }
  return groups
}

const secondsOf = (count: ScopeCount): number | null =>
  count.kind === 'created' ? Math.min(count.seconds, MAX_SECONDS) : null
