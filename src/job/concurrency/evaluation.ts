import { isLimit, isThrottle, type Throttle, throttleOf } from '../../concurrency-option.ts'
import type { Job } from '../base.ts'
import { type Declarations, declarationsOf } from '../definition/declarations.ts'
import { shortly } from '../definition/mistakes.ts'
import { jobClassName, rubyStrip } from '../definition/naming.ts'
import type { DeclaredRule } from './rules.ts'
import { ALL_JOBS, keyScope, labelScope, type Scope } from './scopes.ts'
import { assertNoPromise, keyText, labelText, type RuleValue } from './values.ts'

/** A rule of one job at its enqueue. */
export interface EnqueueRule {
  readonly scope: Scope
  /** Maximum number of unfinished jobs in the scope, with the new one; null: no limit. */
  readonly limit: number | null
  /** Whether jobs that a worker has locked are left out of that number. */
  readonly excludesRunning: boolean
  readonly throttle: Throttle | null
}

/** A rule of one job at its start. */
export interface PerformRule {
  readonly scope: Scope
  /** Maximum number of running jobs in the scope; null: no limit. */
  readonly limit: number | null
  readonly throttle: Throttle | null
}

/** The rules of a class: its control, then its other rules, those of superclasses first. */
interface ClassRules {
  readonly control: DeclaredRule | undefined
  readonly rules: readonly DeclaredRule[]
  readonly hasEnqueueRules: boolean
  readonly hasPerformRules: boolean
  readonly appliesLabels: boolean
}

const cache = new WeakMap<Declarations, ClassRules>()

/** Undefined for a class that declared nothing. */
export const rulesOf = (jobClass: object): ClassRules | undefined => {
  const declarations = declarationsOf(jobClass)
  const { concurrency } = declarations
  if (concurrency.length === 0) return undefined
  const known = cache.get(declarations) ?? collect(concurrency)
  cache.set(declarations, known)
  return known
}

const collect = (declared: readonly DeclaredRule[]): ClassRules => {
  const control = declared.findLast(({ isControl }) => isControl)
  const others = declared.filter(({ isControl }) => !isControl)
  const rules = control && control.key !== null ? [control, ...others] : others
  return {
    control,
    rules,
    hasEnqueueRules: rules.some(isEnqueueRule),
    hasPerformRules: rules.some(isPerformRule),
    appliesLabels: rules.some(({ applyLabel }) => applyLabel === true),
  }
}

const isEnqueueRule = ({ enqueueLimit, totalLimit, enqueueThrottle }: DeclaredRule): boolean =>
  enqueueLimit !== undefined || totalLimit !== undefined || enqueueThrottle !== undefined

/** Whether a start of a job is checked under this rule. */
export const isPerformRule = ({ performLimit, totalLimit, performThrottle }: DeclaredRule): boolean =>
  performLimit !== undefined || totalLimit !== undefined || performThrottle !== undefined

/** Whether an enqueue of this class has to be checked. */
export const hasEnqueueRules = (jobClass: object): boolean => rulesOf(jobClass)?.hasEnqueueRules ?? false

/** Whether a start of this class has to be checked. */
export const hasPerformRules = (jobClass: object): boolean => rulesOf(jobClass)?.hasPerformRules ?? false

/** Whether a rule counts the running jobs of all classes. */
export const countsAllRunningJobs = (jobClass: object): boolean =>
  (rulesOf(jobClass)?.rules ?? []).some(
    (rule) => isPerformRule(rule) && !rule.isControl && rule.label === undefined && rule.key === undefined,
  )

/** The columns of a row that decide which rules apply to it. */
export interface RuleColumns {
  readonly labels: readonly string[] | null
  readonly concurrency_key: string | null
}

/**
 * Whether `performRulesOfRow` can return the rules of jobs of this class. Otherwise a function has to be called with the job. With `row`:
 * whether it can for this row. The function for the key of a control is called only for a row without a key.
 */
export const hasStaticPerformRules = (jobClass: object, row?: Pick<RuleColumns, 'concurrency_key'>): boolean =>
  (rulesOf(jobClass)?.rules ?? []).every((rule) => {
    if (!isPerformRule(rule)) return true
    const { label, key, performLimit, totalLimit, performThrottle, isControl } = rule
    const values = [label, performLimit, totalLimit, performThrottle]
    if (!isControl || (row?.concurrency_key ?? null) === null) values.push(key)
    return !values.some((value) => typeof value === 'function')
  })

/**
 * The enqueue rules that apply to a job, in the order in which GoodJob checks them. Sets `concurrencyKey`, as the enqueue would. Throws
 * what a function throws, and TypeError for a result that Ruby raises for.
 */
export const enqueueRulesOf = (job: Job): readonly EnqueueRule[] =>
  (rulesOf(job.jobConstructor)?.rules ?? []).flatMap((rule) => {
    if (!isEnqueueRule(rule)) return []
    const scope = scopeOf(rule, job)
    if (scope === undefined) return []
    const limit = limitOf(job, rule.enqueueLimit) ?? limitOf(job, rule.totalLimit)
    const throttle = resolvedThrottle(job, rule.enqueueThrottle)
    if (limit === null && throttle === null) return []
    return [{ scope, limit, excludesRunning: rule.enqueueLimit !== undefined, throttle }]
  })

/**
 * The rules under which a job may start, in the order in which GoodJob checks them. The arguments of the job have been read. Throws what a
 * function throws, and TypeError for a result that Ruby raises for.
 */
export const performRulesOf = (job: Job): readonly PerformRule[] =>
  (rulesOf(job.jobConstructor)?.rules ?? []).flatMap((rule) => {
    if (!isPerformRule(rule)) return []
    const scope = scopeOf(rule, job)
    return scope === undefined ? [] : performRule(scope, rule, job)
  })

/** Like `performRulesOf`, from the columns of the row. The rules have no function that would have to be called (`hasStaticPerformRules`). */
export const performRulesOfRow = (jobClass: { readonly name: string }, row: RuleColumns): PerformRule[] =>
  (rulesOf(jobClass)?.rules ?? []).flatMap((rule) => {
    if (!isPerformRule(rule)) return []
    const scope = scopeOfRow(rule, row, jobClass)
    return scope === undefined ? [] : performRule(scope, rule, undefined)
  })

const performRule = (scope: Scope, rule: DeclaredRule, job: Job | undefined): PerformRule[] => {
  const limit = limitOf(job, rule.performLimit) ?? limitOf(job, rule.totalLimit)
  const throttle = resolvedThrottle(job, rule.performThrottle)
  return limit === null && throttle === null ? [] : [{ scope, limit, throttle }]
}

/** The scope of a rule for this job; undefined: the rule does not apply. GoodJob 4.23.1 concurrency.rb: Rule#evaluate. */
const scopeOf = (rule: DeclaredRule, job: Job): Scope | undefined => {
  if (rule.label !== undefined) return labelScopeOf(resolved(job, rule.label), job.labels)
  if (rule.isControl) return keyScopeOf(keyOfNewJob(job))
  return rule.key === undefined ? ALL_JOBS : keyScopeOf(keyText(resolved(job, rule.key)))
}

const scopeOfRow = (
  rule: DeclaredRule,
  { labels, concurrency_key }: RuleColumns,
  jobClass: { readonly name: string },
): Scope | undefined => {
  if (rule.label !== undefined) return labelScopeOf(rule.label, labels ?? [])
  if (rule.isControl) return keyScopeOf(concurrency_key ?? controlKey(rule, jobClass))
  return rule.key === undefined ? ALL_JOBS : keyScopeOf(keyText(rule.key))
}

const labelScopeOf = (value: unknown, labels: readonly string[]): Scope | undefined => {
  const label = labelText(value)
  return label !== null && labels.some((each) => rubyStrip(each) === label) ? labelScope(label) : undefined
}

const keyScopeOf = (key: string | null): Scope | undefined =>
  key === null || key.trim() === '' ? undefined : keyScope(key)

/** The key of a control without a function. */
const controlKey = ({ key }: DeclaredRule, jobClass: { readonly name: string }): string | null =>
  key === undefined ? jobClassName(jobClass) : keyText(key)

/**
 * The value of the column concurrency_key. For a class with rules it is computed once and kept in `job.concurrencyKey`: like in GoodJob,
 * the name of the class if the class declared no key. Null for a class that declared nothing. GoodJob 4.23.1
 * concurrency.rb#good_job_concurrency_key.
 */
export const keyOfNewJob = (job: Job): string | null => {
  const rules = rulesOf(job.jobConstructor)
  if (rules === undefined) return job.concurrencyKey
  job.concurrencyKey ??= computedKey(job, rules.control)
  return job.concurrencyKey
}

const computedKey = (job: Job, control: DeclaredRule | undefined): string | null => {
  if (control?.key === undefined) return job.jobClass
  return keyText(resolved(job, control.key))
}

/** The values of the column labels. */
export const labelsOfNewJob = (job: Job): readonly string[] => job.labels

/** These labels and those of the rules with `applyLabel`. GoodJob 4.23.1 labels.rb#_good_job_with_applied_labels. */
export const withAppliedLabels = (job: Job, labels: readonly string[]): readonly string[] => {
  const rules = rulesOf(job.jobConstructor)
  if (!rules?.appliesLabels) return labels
  const applied = rules.rules.flatMap(({ applyLabel, label }) =>
    applyLabel ? (labelText(resolved(job, label)) ?? []) : [],
  )
  return [...labels, ...applied]
}

const resolved = (job: Job | undefined, value: RuleValue): unknown =>
  typeof value === 'function' ? value.call(job, job) : value

/** Null for what GoodJob ignores: anything but a number from 0. Throws TypeError for a promise: a limit must not be lost by an `async`. */
const limitOf = (job: Job | undefined, value: RuleValue): number | null => {
  const limit = resolved(job, value)
  if (isLimit(limit)) return limit
  assertNoPromise('limit', limit)
  return null
}

/** Null for what GoodJob ignores: anything but a list of two. Throws TypeError for a list of two that is no throttle, as Ruby raises. */
const resolvedThrottle = (job: Job | undefined, value: RuleValue): Throttle | null => {
  const throttle = resolved(job, value)
  if (isThrottle(throttle)) return throttleOf(throttle)
  assertNoPromise('throttle', throttle)
  if (!Array.isArray(throttle) || throttle.length !== 2) return null
  throw new TypeError(`A throttle must be [count, seconds], such as [10, 60]; a function returned ${shortly(throttle)}`)
}
