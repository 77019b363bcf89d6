import { isLimit, isThrottle, type Throttle, throttleOf, type WorkerConcurrencyRule } from '../../concurrency-option.ts'
import { jobClassName } from '../definition/naming.ts'
import { isPerformRule, rulesOf } from './evaluation.ts'
import type { DeclaredRule } from './rules.ts'
import { keyText, labelText } from './values.ts'

/** A function of the class decides, so that the value of a job is known to its worker only. */
export const COMPUTED = 'computed'
export type Computed = typeof COMPUTED

/** A rule for starts, as a worker publishes it in its process row. The keys are those of the JSON. */
export interface PublishedRule {
  /** Null for a rule of the worker's configuration: it holds for every class. */
  readonly job_class: string | null
  readonly counts: 'label' | 'key' | 'all'
  /** The label or key; null if the rule counts all jobs, or if a function returns it. */
  readonly value: string | null
  /** The rule counts the jobs with the key of the job itself, whatever `value` says. */
  readonly is_control: boolean
  readonly limit: number | Computed | null
  readonly throttle: Throttle | Computed | null
}

/** The rules of a class under one of its names. */
export const publishedRulesOf = (name: string, jobClass: { readonly name: string }): PublishedRule[] =>
  (rulesOf(jobClass)?.rules ?? []).filter(isPerformRule).map((rule) => ({
    job_class: name,
    ...countedBy(rule, jobClass),
    is_control: rule.isControl,
    limit: published(rule.performLimit ?? rule.totalLimit, (value) => (isLimit(value) ? value : null)),
    throttle: published(rule.performThrottle, (value) => (isThrottle(value) ? throttleOf(value) : null)),
  }))

/** A rule of a worker's configuration. */
export const publishedWorkerRule = ({
  label,
  key,
  performLimit,
  performThrottle,
}: WorkerConcurrencyRule): PublishedRule => ({
  job_class: null,
  counts: label === undefined ? 'key' : 'label',
  value: label ?? key ?? null,
  is_control: false,
  limit: performLimit ?? null,
  throttle: performThrottle ? throttleOf(performThrottle) : null,
})

const countedBy = (
  rule: DeclaredRule,
  jobClass: { readonly name: string },
): Pick<PublishedRule, 'counts' | 'value'> => {
  if (rule.label !== undefined) return { counts: 'label', value: constant(rule.label, labelText) }
  if (rule.key !== undefined) return { counts: 'key', value: constant(rule.key, keyText) }
  return rule.isControl ? { counts: 'key', value: jobClassName(jobClass) } : { counts: 'all', value: null }
}

const constant = (value: unknown, text: (value: unknown) => string | null): string | null =>
  typeof value === 'function' ? null : text(value)

const published = <V>(value: unknown, constantOf: (value: unknown) => V): V | Computed =>
  typeof value === 'function' ? COMPUTED : constantOf(value)

/** Reads a rule that another process has published, perhaps in another version; empty if it cannot be read. */
export const publishedRule = (rule: unknown): PublishedRule[] => {
  const { job_class, counts, value, is_control, limit, throttle } = (rule ?? {}) as Readonly<Record<string, unknown>>
  if (counts !== 'label' && counts !== 'key' && counts !== 'all') return []
  return [
    {
      job_class: textOf(job_class),
      counts,
      value: textOf(value),
      is_control: is_control === true,
      limit: limit === COMPUTED || isLimit(limit) ? limit : null,
      throttle: throttle === COMPUTED ? throttle : readThrottle(throttle),
    },
  ]
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)

const readThrottle = (throttle: unknown): Throttle | null => {
  const { count, seconds } = (throttle ?? {}) as Readonly<Record<string, unknown>>
  const value: unknown = [count, seconds]
  return isThrottle(value) ? throttleOf(value) : null
}
