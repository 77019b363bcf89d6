import { nearest } from '../configuration-values.ts'
import { ConfigurationError } from '../errors.ts'
import type { CallerTransaction } from '../job/adapters/queue-adapter.ts'
import type { Job, JobConstructor } from '../job/base.ts'
import { assertJobClass, isJobClass } from '../job/definition/job-class.ts'
import { shortly } from '../job/definition/mistakes.ts'
import { STATE } from '../job/state.ts'
import { kwargs } from '../serialize/arguments/arguments.ts'
import type { CronContext, CronEntry } from './entry.ts'
import { inPart } from './failure.ts'
import { isRubyConstant, rubyJobClass } from './ruby-class.ts'

/** Whether `value` is a function that is not a class, so that it is called at each occurrence. */
export const isComputed = (value: unknown): value is () => unknown =>
  typeof value === 'function' && !isJobClass(value) && !isClass(value)

/** A class of the language, also a native one such as Map, whose prototype has methods. */
const isClass = (value: { readonly prototype?: object }): boolean =>
  /^class\b/.test(Function.prototype.toString.call(value)) ||
  Object.getOwnPropertyNames(value.prototype ?? {}).length > 1

const compute = async (value: unknown): Promise<unknown> => (isComputed(value) ? await value() : value)

export interface OccurrenceOptions {
  readonly transaction?: CallerTransaction | undefined
}

/**
 * The job of one occurrence, not yet enqueued; undefined if the class function returns no class. GoodJob 4.23.1 cron_entry.rb#enqueue.
 * @throws CronPartError
 */
export const makeJob = async (
  entry: CronEntry,
  at: Date,
  options: OccurrenceOptions = {},
): Promise<Job | undefined> => {
  const { key, context } = entry
  const { class: jobClass, set, args, kwargs: named } = entry.options
  const found = await inPart('class', async () => resolveClass(await compute(jobClass), isComputed(jobClass), context))
  if (found === undefined) return undefined
  const parts = {
    set: await inPart('set', () => compute(set)),
    args: await inPart('args', () => compute(args)),
    kwargs: await inPart('kwargs', () => compute(named)),
  }
  const job = await inPart('args', () => newJob(found, parts))
  await inPart('set', () => job.set({ ...(parts.set as object), ...options }))
  job[STATE].cron = { key, at, adapter: context.adapter }
  return job
}

/** A job of the values of an entry, without what its functions return. @throws ConfigurationError */
export const makeSampleJob = (entry: CronEntry): Job => {
  const { class: jobClass, set, args, kwargs: named } = entry.options
  const value = (part: unknown) => (isComputed(part) ? undefined : part)
  const found = isComputed(jobClass) ? rubyJobClass('Object') : resolveClass(jobClass, false, entry.context)
  return newJob(found ?? rubyJobClass('Object'), { args: value(args), kwargs: value(named) }).set({
    ...(value(set) as object),
  })
}

interface Parts {
  readonly args: unknown
  readonly kwargs: unknown
}

const newJob = (jobClass: JobConstructor, { args, kwargs: named }: Parts): Job => {
  const all = isFilled(named) ? [...listOf(args), kwargs(named)] : listOf(args)
  const job = new jobClass(...(all as readonly never[]))
  // GoodJob enqueues in the default locale, also from a page in another language.
  job.locale = jobClass.defaultLocale
  return job
}

/** In Ruby a single value becomes the only argument. */
const listOf = (value: unknown): readonly unknown[] => {
  if (value === null || value === undefined) return []
  return Array.isArray(value) ? value : [value]
}

const isFilled = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && Object.keys(value).length > 0

/** @throws ConfigurationError for a name or value that is no class */
const resolveClass = (
  value: unknown,
  mayBeNone: boolean,
  { registry }: Pick<CronContext, 'registry'>,
): JobConstructor | undefined => {
  if (mayBeNone && (value === null || value === undefined)) return undefined
  if (typeof value === 'string') return registry?.get(value) ?? rubyClassNamed(value, registry?.names() ?? [])
  assertJobClass(value, 'class')
  return value
}

const rubyClassNamed = (name: string, known: readonly string[]): JobConstructor => {
  const meant =
    known.find((each) => plain(each) === plain(name)) ?? (isRubyConstant(name) ? undefined : nearest(name, known))
  if (meant !== undefined) {
    throw new ConfigurationError(`there is no class ${JSON.stringify(name)}; did you mean ${meant}?`)
  }
  if (isRubyConstant(name)) return rubyJobClass(name)
  throw new ConfigurationError(
    `class is a job class, or the name of one such as "ReportJob" or "Media::ThumbnailJob", got ${shortly(name)}`,
  )
}

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '')
