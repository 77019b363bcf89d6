import { ConfigurationError } from '../../errors.ts'
import { Job, type JobConstructor } from '../base.ts'
import { shortly, UNDEFINED_ADVICE } from './mistakes.ts'
import { jobClassName } from './naming.ts'

/** Whether a value, such as an export of a module, is a job class of this package. */
export const isJobClass = (value: unknown): value is JobConstructor =>
  typeof value === 'function' && value.prototype instanceof Job

/** Whether a value is a job class of another installed copy of this package, which has its own `Job`. */
export const isForeignJobClass = (value: unknown): boolean =>
  typeof value === 'function' && 'performLater' in value && value !== Job && !isJobClass(value)

/** Advice for a job class of another copy of this package. */
export const FOREIGN_ADVICE =
  'extends the Job of another copy of good-job-node; leave good-job-node out of the bundle (external) and install it once'

/** Throws ConfigurationError if `value` is not a job class. The message describes the value; `what` names its place. */
export function assertJobClass(value: unknown, what: string): asserts value is JobConstructor {
  if (isJobClass(value)) return
  throw new ConfigurationError(`${what} ${whatIsWrong(value)}`)
}

const whatIsWrong = (value: unknown): string => {
  if (value === undefined) return UNDEFINED_ADVICE
  if (value === Job) return 'is Job itself: pass the classes that extend it'
  if (value instanceof Job) return `is an instance of ${value.constructor.name}: pass the class`
  if (isForeignJobClass(value)) return `is ${(value as { name: string }).name}, which ${FOREIGN_ADVICE}`
  if (typeof value !== 'function') return `is not a job class, but ${shortly(value)}`
  const kind = /^class\b/.test(Function.prototype.toString.call(value)) ? 'class' : 'function'
  return `is not a job class: the ${kind} ${value.name || 'without a name'} does not extend Job`
}

export const performs = (jobClass: JobConstructor): boolean => typeof jobClass.prototype.perform === 'function'

/** Matches `perform = async () => {}` in the text of a class, also if a compiler has moved it into the constructor. */
const PERFORM_FIELD = /\bperform\s*=(?![=>])|["']perform["']/

/** Whether `perform` is a field. Only the text of the class shows it. */
export const hasPerformField = (jobClass: JobConstructor): boolean =>
  !performs(jobClass) && PERFORM_FIELD.test(Function.prototype.toString.call(jobClass))

/** Throws ConfigurationError if the class has no `perform` method. */
export const assertPerforms = (jobClass: JobConstructor): void => {
  if (performs(jobClass)) return
  const advice = hasPerformField(jobClass)
    ? 'its perform is a field: write it as a method, async perform(…) { … }'
    : 'it has no perform method'
  throw new ConfigurationError(`${jobClassName(jobClass)} cannot be run: ${advice}`)
}
