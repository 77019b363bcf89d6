import { ConfigurationError } from '../../errors.ts'
import { assertNoMistakenStatics } from './mistakes.ts'

const CONSTANT = /^\p{Lu}[\p{L}\p{N}_]*$/u
const MIN_LETTERS = 3

/**
 * Whether a class is likely to have this name in every build. Minifiers write `o`, bundlers `_WelcomeJob`, `WelcomeJob$1`, `default` or
 * `jobs_default`. A name that a person writes begins with a capital, as a Ruby constant must.
 */
export const isLastingName = (name: string): boolean =>
  CONSTANT.test(name) && name.replaceAll(/[^\p{L}]/gu, '').length >= MIN_LETTERS

const lasting = new Set<string>()
const examined = new WeakSet<object>()

/**
 * The name of a job class in the queue: its own `static jobClass`, otherwise the name of the class. It is never inherited, because a Ruby
 * subclass has its own name, too. Throws ConfigurationError for a name that another build may give to another class.
 */
export const jobClassName = (jobClass: { readonly name: string }): string => {
  if (!examined.has(jobClass)) {
    assertNoMistakenStatics(jobClass)
    examined.add(jobClass)
  }
  if (Object.hasOwn(jobClass, 'jobClass')) return declaredName((jobClass as { jobClass?: unknown }).jobClass)
  const { name } = jobClass
  if (lasting.has(name)) return name
  if (typeof name !== 'string' || !isLastingName(name)) throw new ConfigurationError(adviceFor(jobClass, name))
  lasting.add(name)
  return name
}

const declaredName = (name: unknown): string => {
  if (typeof name === 'string' && name !== '') return name
  throw new ConfigurationError(`static jobClass must be a non-empty string, got ${String(name)}`)
}

const SOURCE_LENGTH = 80

const adviceFor = (jobClass: object, name: unknown): string => {
  const source = Function.prototype.toString.call(jobClass).replaceAll(/\s+/g, ' ').slice(0, SOURCE_LENGTH)
  const what = name === '' ? 'A job class has no name' : `"${String(name)}" is not a usable name for a job class`
  return (
    `${what}: build tools make such names, and the next build may give it to another class, which would run the jobs of this one. ` +
    `Add static jobClass = '…' to the class (${source}…)`
  )
}

/**
 * The former names of a class (`static formerNames`, not inherited): jobs that wait under them are claimed and run, too.
 * Throws ConfigurationError for anything other than a list of names.
 */
export const formerNamesOf = (jobClass: { readonly name: string }): readonly string[] => {
  if (!Object.hasOwn(jobClass, 'formerNames')) return []
  const { formerNames } = jobClass as { formerNames?: unknown }
  if (Array.isArray(formerNames) && formerNames.every((name) => typeof name === 'string' && name !== '')) {
    return formerNames as string[]
  }
  throw new ConfigurationError(
    `${jobClassName(jobClass)}: static formerNames is a list of names such as ['OldMailJob'], got ${JSON.stringify(formerNames)}`,
  )
}

/** The static fields of a class that determine queue names. */
export interface QueueNaming {
  readonly queueNamePrefix: string | null
  readonly queueNameDelimiter: string
  readonly defaultQueueName: string
}

/** A queue name with the class's prefix; null: the default queue. Active Job queue_name.rb#queue_name_from_part. */
export const queueNameFromPart = (naming: QueueNaming, part: string | null | undefined): string => {
  const name = part ?? naming.defaultQueueName
  const prefix = naming.queueNamePrefix
  return prefix === null || prefix.trim() === '' ? name : `${prefix}${naming.queueNameDelimiter}${name}`
}

/** Labels as GoodJob stores them: stripped, without blank ones and duplicates. */
export const normalizeLabels = (labels: readonly string[]): readonly string[] => {
  if (labels.length === 0) return labels
  return [...new Set(labels.map((label) => rubyStrip(String(label))).filter((label) => label.trim() !== ''))]
}

/** String#strip of Ruby. It keeps white space outside of ASCII, such as a no-break space, which `trim` removes. */
export const rubyStrip = (text: string): string => text.replace(/^[\0\t-\r ]+|[\0\t-\r ]+$/g, '')
