import type { PublishedRule } from '../../job/concurrency/published.ts'
import { splitClaimKey } from '../../sql/concurrency/scope.ts'
import type { WorkerProcess } from '../worker-processes.ts'

/** The rules that live processes have published, and `more`; each once. */
export const knownRules = (
  processes: readonly WorkerProcess[],
  more: readonly PublishedRule[] = [],
): readonly PublishedRule[] => {
  const published = processes.filter(({ is_alive }) => is_alive).flatMap((process) => process.concurrency_rules ?? [])
  return [...new Map([...published, ...more].map((rule) => [JSON.stringify(rule), rule])).values()]
}

/** The claim key of the scope that a rule counts; undefined if it depends on the job. */
export const scopeOfRule = ({ counts, value }: PublishedRule): string | undefined => {
  if (counts === 'all') return 'all'
  return value === null ? undefined : `${counts}:${value}`
}

/** What is known of a scope apart from rules. */
export interface SeenScope {
  readonly claimKey: string
  /** Classes of its jobs. */
  readonly jobClasses: readonly string[]
  /** A worker has counted it: there are claims with this key. */
  readonly isClaimed: boolean
}

/**
 * The rules that count a scope. If a function returns the key of a rule, the rule counts the keys that the jobs of its class have. A
 * function for a label could return any label of a job, so such a rule counts only scopes that a worker has counted.
 */
export const rulesOfScope = (rules: readonly PublishedRule[], scope: SeenScope): PublishedRule[] => {
  const { kind } = splitClaimKey(scope.claimKey)
  return rules.filter((rule) => {
    if (scopeOfRule(rule) === scope.claimKey) return true
    if (rule.counts !== kind || !(rule.value === null || rule.is_control)) return false
    const isOfClass = rule.job_class !== null && scope.jobClasses.includes(rule.job_class)
    return isOfClass && (kind === 'key' || scope.isClaimed)
  })
}

/** The columns that decide which rules apply to a job. */
export interface RuledColumns {
  readonly job_class: string | null
  readonly labels: readonly string[] | null
  readonly concurrency_key: string | null
}

/** A rule that may apply to a job, and the scope in which it would count the job. */
export interface RuleOfJob {
  readonly claimKey: string
  readonly rule: PublishedRule
  /** A function returns the label, so the rule applies only if a worker has counted this scope. */
  readonly isAssumed: boolean
}

/** The rules of a job in the order in which a worker checks them. */
export const rulesOfJob = (rules: readonly PublishedRule[], job: RuledColumns): RuleOfJob[] =>
  rules.flatMap((rule) => {
    if (rule.job_class !== null && rule.job_class !== job.job_class) return []
    const { counts, value } = rule
    if (counts === 'all') return [{ claimKey: 'all', rule, isAssumed: false }]
    if (counts === 'label')
      return labelsOf(job, value).map((label) => ({ claimKey: `label:${label}`, rule, isAssumed: value === null }))
    const key = keyOf(rule, job)
    return key === null ? [] : [{ claimKey: `key:${key}`, rule, isAssumed: false }]
  })

const labelsOf = ({ labels }: RuledColumns, value: string | null): string[] =>
  (labels ?? []).map((label) => label.trim()).filter((label) => value === null || label === value)

const keyOf = ({ job_class, value, is_control }: PublishedRule, { concurrency_key }: RuledColumns): string | null => {
  if (job_class === null) return value === concurrency_key ? value : null
  return is_control ? (concurrency_key ?? value) : (value ?? concurrency_key)
}
