import type { Throttle } from '../../src/concurrency-option.ts'
import type { PerformRule } from '../../src/job/concurrency/evaluation.ts'
import { ALL_JOBS, keyScope, labelScope } from '../../src/job/concurrency/scopes.ts'
import type { Candidate } from '../../src/perform/limits/rule-book.ts'
import type { LimitedRow } from '../../src/sql/concurrency/limited.ts'

/** A rule of the scope `label:…`, `key:…` or `all`. */
export const rule = (claimKey: string, limit: number | null, throttle: Throttle | null = null): PerformRule => {
  const value = claimKey.slice(claimKey.indexOf(':') + 1)
  if (claimKey === 'all') return { scope: ALL_JOBS, limit, throttle }
  return { scope: claimKey.startsWith('key:') ? keyScope(value) : labelScope(value), limit, throttle }
}

export const secondText = (second: number): string => new Date(second * 1_000).toISOString()

/** A due job that was created at this second, with a row that shows the scopes of its rules. */
export const candidate = (
  id: string,
  second: number,
  rules: readonly PerformRule[],
  more: Partial<LimitedRow> = {},
): Candidate => {
  const claimKeys = rules.map(({ scope }) => scope.claimKey)
  const key = claimKeys.find((claimKey) => claimKey.startsWith('key:'))?.slice('key:'.length)
  return {
    rules,
    row: {
      id,
      job_class: 'LimitedJob',
      queue_name: 'default',
      priority: 0,
      serialized_params: null,
      labels: claimKeys.filter((claimKey) => claimKey.startsWith('label:')).map((claimKey) => claimKey.slice(6)),
      concurrency_key: key ?? null,
      created_at: secondText(second),
      scheduled_at: secondText(second),
      ...more,
    },
  }
}

export const idsOf = (candidates: readonly Candidate[]): string[] => candidates.map(({ row }) => row.id)
