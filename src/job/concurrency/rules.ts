import { isLimit, isThrottle, type ThrottleValue } from '../../concurrency-option.ts'
import { ConfigurationError } from '../../errors.ts'
import type { RubyDate, RubySymbol } from '../../serialize/values/ruby-values.ts'
import type { Job, PerformArguments } from '../base.ts'
import { declareOn } from '../definition/declarations.ts'
import { shortly } from '../definition/mistakes.ts'
import { assertKnownOptions } from '../options.ts'
import { keyText, labelText, type RuleValue } from './values.ts'

// An abstract class declares no arguments of its own: its perform takes `never[]`.
type KnownArguments<A extends readonly unknown[]> = number extends A['length']
  ? [A] extends [readonly never[]]
    ? unknown[]
    : A
  : A

/** A job whose arguments have the types of its `perform`. */
export type JobWithArguments<T extends Job> = T & { readonly arguments: KnownArguments<PerformArguments<T>> }

/** Computes a value of a rule from the job; `this` is the job, too. Not async. */
export type RuleFunction<T extends Job, V> = (this: JobWithArguments<T>, job: JobWithArguments<T>) => V

/** A concurrency key; null: none. A Date is written in UTC, as Ruby writes it. */
export type ConcurrencyKey = string | number | bigint | boolean | Date | RubyDate | RubySymbol | null

/** A maximum number of jobs. A function may return null: no limit. */
export type Limit<T extends Job> = number | RuleFunction<T, number | null> | undefined
/** A function may return null: no throttle. */
export type ThrottleOption<T extends Job> = ThrottleValue | RuleFunction<T, ThrottleValue | null> | undefined

/** The limits of a rule. Each applies to all jobs that the rule counts, whatever their class and whichever side enqueued them. */
export interface ConcurrencyLimits<T extends Job = Job> {
  /** Maximum number of unfinished jobs at an enqueue, and of running jobs; for what has no limit of its own. */
  readonly totalLimit?: Limit<T>
  /** Maximum number of waiting jobs. A further job is not enqueued. */
  readonly enqueueLimit?: Limit<T>
  /** Maximum number of running jobs. A further job waits. */
  readonly performLimit?: Limit<T>
  /** At most `count` jobs are enqueued within any `seconds`. A further job is not enqueued. */
  readonly enqueueThrottle?: ThrottleOption<T>
  /** At most `count` jobs are started within any `seconds`. A further job waits. */
  readonly performThrottle?: ThrottleOption<T>
}

/** Options of `controlConcurrencyWith`. GoodJob: good_job_control_concurrency_with. */
export interface ConcurrencyOptions<T extends Job = Job> extends ConcurrencyLimits<T> {
  /** The jobs with this key are counted; null or a blank text: no key and no limits. @default the name of the class */
  readonly key?: ConcurrencyKey | RuleFunction<T, ConcurrencyKey> | undefined
}

/** Options of `concurrencyRule`. With neither label nor key, the rule counts all jobs of the database. GoodJob: good_job_concurrency_rule. */
export interface ConcurrencyRuleOptions<T extends Job = Job> extends ConcurrencyLimits<T> {
  /** The jobs with this label are counted, and the rule applies to jobs with it. If a function returns null, the rule does not apply. */
  readonly label?: string | number | RuleFunction<T, string | number | null> | undefined
  /** Adds the label to the labels of the job. @default false */
  readonly applyLabel?: boolean | undefined
  /** The jobs whose column concurrency_key has this value are counted. If a function returns null, the rule does not apply. */
  readonly key?: ConcurrencyKey | RuleFunction<T, ConcurrencyKey> | undefined
}

/** One declaration. Its constants are valid; what its functions return is not known yet. */
export interface DeclaredRule {
  /** A rule of `controlConcurrencyWith`: its key is the job's `concurrencyKey`. */
  readonly isControl: boolean
  readonly label?: RuleValue
  readonly applyLabel?: boolean | undefined
  readonly key?: RuleValue
  readonly totalLimit?: RuleValue
  readonly enqueueLimit?: RuleValue
  readonly performLimit?: RuleValue
  readonly enqueueThrottle?: RuleValue
  readonly performThrottle?: RuleValue
}

const LIMITS = ['totalLimit', 'enqueueLimit', 'performLimit'] as const
const THROTTLES = ['enqueueThrottle', 'performThrottle'] as const
const CONTROL_OPTIONS = ['key', ...LIMITS, ...THROTTLES]
const RULE_OPTIONS = ['label', 'applyLabel', ...CONTROL_OPTIONS]

/** Replaces the control of a class. Throws ConfigurationError for what GoodJob would ignore, too. */
export const declareControl = (jobClass: object, options: ConcurrencyOptions<never>): void => {
  const where = 'controlConcurrencyWith'
  assertOptions(where, options, CONTROL_OPTIONS)
  const { key } = options
  if (key === null && hasLimits(options)) {
    throw new ConfigurationError(`${where}: key is null, so its limits would count nothing; leave the limits out`)
  }
  if (key !== undefined && key !== null) assertKey(where, key)
  declareOn(jobClass).concurrency.push({ ...options, isControl: true })
}

/** Adds a rule to a class. Throws ConfigurationError for what GoodJob would ignore, too. */
export const declareRule = (jobClass: object, options: ConcurrencyRuleOptions<never>): void => {
  const where = 'concurrencyRule'
  assertOptions(where, options, RULE_OPTIONS)
  const { label, key, applyLabel } = options
  if (label !== undefined) assertLabel(label)
  if (key !== undefined) assertKey(where, key)
  if (applyLabel !== undefined && typeof applyLabel !== 'boolean') {
    throw new ConfigurationError(`${where}: applyLabel must be true or false, got ${shortly(applyLabel)}`)
  }
  if (applyLabel && label === undefined) throw new ConfigurationError(`${where}: applyLabel needs a label`)
  if (label !== undefined && key !== undefined) {
    throw new ConfigurationError(`${where}: a rule with a label ignores its key; leave one of them out`)
  }
  if (!hasLimits(options) && !applyLabel) {
    throw new ConfigurationError(`${where} needs a limit or a throttle: one of ${[...LIMITS, ...THROTTLES].join(', ')}`)
  }
  declareOn(jobClass).concurrency.push({ ...options, isControl: false })
}

const hasLimits = (options: object): boolean =>
  [...LIMITS, ...THROTTLES].some((name) => (options as Record<string, unknown>)[name] !== undefined)

const assertOptions = (where: string, options: unknown, known: readonly string[]): void => {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ConfigurationError(`${where} takes options, such as { performLimit: 2 }; got ${shortly(options)}`)
  }
  assertKnownOptions(where, options, known)
  const values = options as Readonly<Record<string, unknown>>
  for (const name of LIMITS) {
    const value = values[name]
    if (value === undefined || typeof value === 'function' || isLimit(value)) continue
    throw new ConfigurationError(
      `${where}: ${name} must be a number of at least 0, or a function; got ${shortly(value)}`,
    )
  }
  for (const name of THROTTLES) {
    const value = values[name]
    if (value === undefined || typeof value === 'function' || isThrottle(value)) continue
    throw new ConfigurationError(
      `${where}: ${name} must be [count, seconds], such as [10, 60], or a function; got ${shortly(value)}`,
    )
  }
}

const assertLabel = (label: unknown): void => {
  if (typeof label === 'function' || isWritten(() => labelText(label))) return
  throw new ConfigurationError(
    `concurrencyRule: label must be a text that is not blank, a finite number, or a function; got ${shortly(label)}`,
  )
}

const assertKey = (where: string, key: unknown): void => {
  if (typeof key === 'function' || isWritten(() => keyText(key))) return
  throw new ConfigurationError(
    `${where}: key must be a text that is not blank, a finite number, true, a Date, or a function; got ${shortly(key)}`,
  )
}

const isWritten = (text: () => string | null): boolean => {
  try {
    return text() !== null
  } catch {
    return false
  }
}
