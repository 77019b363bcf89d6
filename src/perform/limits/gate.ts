import type { PerformRule, RuleColumns } from '../../job/concurrency/evaluation.ts'
import type { Candidate } from './rule-book.ts'

/**
 * Where jobs wait for a place: one scope under one limit and one throttle. Classes may limit a scope differently, and then jobs of one
 * class must not hide those of another.
 */
export interface Gate {
  readonly id: string
  readonly claimKey: string
  readonly limit: number | null
  /** The jobs that are known to wait, in the order in which they start. */
  readonly jobs: Candidate[]
  readonly jobClasses: Set<string>
  /** A place may be free. */
  isFree: boolean
  /** The limit refused a job: the end of a job in the scope may free a place. */
  waitsForPlace: boolean
  /** When the throttle allows the next start, epoch milliseconds; infinite if it refused no job. */
  opensAtMs: number
  /** More jobs may wait than are known. */
  hasMore: boolean
  /** New jobs may have come that start before those that are known. */
  isStale: boolean
  /** Many jobs at the head of the queue wait here. */
  isDense: boolean
  /** When its jobs were read, monotonic milliseconds; minus infinity: never. */
  readMs: number
}

export const gateIdOf = ({ scope, limit, throttle }: PerformRule): string =>
  JSON.stringify([scope.claimKey, limit, throttle?.count, throttle?.seconds])

export const newGate = (rule: PerformRule): Gate => ({
  id: gateIdOf(rule),
  claimKey: rule.scope.claimKey,
  limit: rule.limit,
  jobs: [],
  jobClasses: new Set(),
  isFree: false,
  waitsForPlace: false,
  opensAtMs: Number.POSITIVE_INFINITY,
  hasMore: true,
  isStale: false,
  isDense: false,
  readMs: Number.NEGATIVE_INFINITY,
})

/** The scopes that count a job once it is started. */
export const scopesOfRow = ({ labels, concurrency_key }: RuleColumns): ReadonlySet<string> =>
  new Set([
    'all',
    ...(concurrency_key === null ? [] : [`key:${concurrency_key}`]),
    ...(labels ?? []).map((label) => `label:${label}`),
  ])

/** Whether the columns of a row show that the scope counts it. */
export const isShown = (row: RuleColumns, claimKey: string): boolean => scopesOfRow(row).has(claimKey)
