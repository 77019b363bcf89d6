import { LosslessNumber, parse } from 'lossless-json'
import { ConfigurationError } from '../errors.ts'

/** A value, or a function without arguments that returns it at each occurrence. */
type Computed<T> = T | (() => T | null | undefined | Promise<T | null | undefined>)

/** A Node class, or the name of a class: one that this worker runs, otherwise one of Ruby. */
export type CronClass = string | (abstract new (...args: never[]) => object)

/** What a schedule function returns: cron text, or the next instant itself. null ends the entry until the next start. */
export type CronInstant = string | Date | null | undefined

/** Options with which the jobs of an entry are enqueued. */
export interface CronSet {
  /** Seconds from the enqueue; `cron_at` stays the instant of the schedule. */
  readonly wait?: number | null | undefined
  readonly waitUntil?: Date | null | undefined
  readonly queue?: string | null | undefined
  readonly priority?: number | null | undefined
  readonly labels?: readonly string[] | null | undefined
  readonly notify?: boolean | null | undefined
}

/** One entry of `cron`. GoodJob: CronEntry. */
export interface CronEntryOptions {
  /**
   * Five cron fields, six with seconds first, an English phrase, or a function of the previous instant of this entry. The function gets
   * undefined if there was none.
   */
  readonly cron: string | ((previous: Date | undefined) => CronInstant | Promise<CronInstant>)
  /** The class of the job. A function that returns null enqueues nothing. */
  readonly class: CronClass | (() => CronClass | null | undefined | Promise<CronClass | null | undefined>)
  /** Arguments of the job. A function may return a single argument. @default [] */
  readonly args?: readonly unknown[] | (() => unknown)
  /** Keyword arguments in Ruby; in Node the last argument, an object. @default {} */
  readonly kwargs?: Computed<Readonly<Record<string, unknown>>>
  /** @default {} */
  readonly set?: Computed<CronSet>
  /** Text for lists and the dashboard. */
  readonly description?: string
  /** Whether the entry is on before anyone has switched it. A function is called at each occurrence. @default true */
  readonly enabledByDefault?: boolean | (() => unknown)
}

/** The entries of a worker by their keys. */
export type CronEntries = Readonly<Record<string, CronEntryOptions>>

const EXAMPLE = '{ report: { cron: "0 6 * * *", class: "ReportJob" } }'
const JSON_EXAMPLE = '{"report":{"cron":"0 6 * * *","class":"ReportJob"}}'

/** Entries that were read from JSON. Ruby reads the keys of all hashes in them as symbols. */
const fromJson = new WeakSet<object>()

/** Whether an entry was written as JSON, in GOOD_JOB_CRON or after `--cron`. */
export const isFromJson = (entry: object): boolean => fromJson.has(entry)

/**
 * Reads the option `cron`: an object of entries, or its JSON text with GoodJob's names of the members. Only the outer form is checked,
 * because the text may belong to Ruby workers. @throws ConfigurationError for anything else, and for two entries with one key in JSON
 */
export const parseCronEntries = (value: unknown, name: string): CronEntries => {
  const isJson = typeof value === 'string'
  const entries = isJson ? readJson(value, name) : value
  const example = isJson ? JSON_EXAMPLE : EXAMPLE
  if (!isPlain(entries)) throw new ConfigurationError(`${name}: expected entries by their keys, such as ${example}`)
  for (const [key, entry] of Object.entries(entries)) {
    if (!isPlain(entry)) {
      throw new ConfigurationError(`${name}: the entry ${JSON.stringify(key)} is not an object; write ${example}`)
    }
    if (isJson) fromJson.add(entry)
  }
  return entries as unknown as CronEntries
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof LosslessNumber)

/** Numbers that JavaScript would change, such as 1.0, stay LosslessNumber. */
const readJson = (text: string, name: string): unknown => {
  try {
    return parse(text, undefined, { parseNumber, onDuplicateKey: ({ key }) => refuseTwice(key) })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigurationError(`${name}: expected JSON, such as ${JSON_EXAMPLE}; ${reason}`, { cause: error })
  }
}

const parseNumber = (token: string): number | LosslessNumber =>
  /^-?[1-9]\d{0,14}$|^0$/.test(token) ? Number(token) : new LosslessNumber(token)

const refuseTwice = (key: string): never => {
  throw new SyntaxError(`the key ${JSON.stringify(key)} stands in one object twice`)
}
