import { InvalidJobDataError, SerializationError } from '../errors.ts'
import { PreciseTime } from '../time.ts'
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from './json.ts'
import { atLeast, DEFAULT_RAILS_VERSION, type RailsVersion } from './rails-version.ts'
import { formatSeconds, formatUtc, parseTime } from './values/iso8601.ts'
import { RubyTime } from './values/ruby-values.ts'

export { DEFAULT_RAILS_VERSION, type RailsVersion } from './rails-version.ts'

/** A job hash, Rails' `serialized_params`, with arguments that are still serialized. */
export interface JobData {
  jobClass: string
  /** Empty if the hash has none. */
  jobId: string
  providerJobId: string | null
  queueName: string | null
  priority: number | null
  serializedArguments: JsonValue[]
  /** Number of earlier starts of the job. */
  executions: number
  /** Number of failures per retry rule; null in hashes from before Rails 6, and then written as null again. */
  exceptionExecutions: JsonObject | null
  locale: string | null
  /** A Rails zone name, or an IANA name. */
  timezone: string | null
  /** As it was written, not yet parsed. */
  enqueuedAt: string | null
  /** As it was written, not yet parsed. */
  scheduledAt: string | null
  /** All other top-level keys, unchanged: continuation, resumptions, attributes, good_job_notify, keys of other libraries. */
  extra: JsonObject
}

/** Reads a job hash. Throws InvalidJobDataError for any other JSON. */
export const parseJobData = (text: string): JobData => {
  const hash = jobHash(text)
  return {
    jobClass: required(textOrNull(hash, 'job_class')),
    jobId: textOrNull(hash, 'job_id') ?? '',
    providerJobId: providerJobId(hash),
    queueName: textOrNull(hash, 'queue_name'),
    priority: integerOrNull(hash, 'priority'),
    serializedArguments: argumentList(hash.arguments ?? []),
    executions: integerOrNull(hash, 'executions') ?? 0,
    exceptionExecutions: counters(hash.exception_executions ?? null),
    locale: textOrNull(hash, 'locale'),
    timezone: textOrNull(hash, 'timezone'),
    enqueuedAt: textOrNull(hash, 'enqueued_at'),
    scheduledAt: textOrNull(hash, 'scheduled_at'),
    extra: extraKeys(hash),
  }
}

const jobHash = (text: string): JsonObject => {
  let hash: JsonValue
  try {
    hash = parseJson(text)
  } catch (error) {
    throw new InvalidJobDataError('serialized_params is not JSON', { cause: error })
  }
  if (isObject(hash)) return hash
  throw new InvalidJobDataError(`serialized_params must be a JSON object, got ${text.slice(0, 40)}`)
}

const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype

const unexpected = (key: string, expected: string, value: JsonValue | undefined) =>
  new InvalidJobDataError(`${key} must be ${expected}, got ${describe(value)}`)

const describe = (value: JsonValue | undefined): string => {
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' && value !== null && isObject(value) ? 'an object' : String(value).slice(0, 40)
}

const textOrNull = (hash: JsonObject, key: string): string | null => {
  const value = hash[key] ?? null
  if (value === null || typeof value === 'string') return value
  throw unexpected(key, 'a string', value)
}

const required = (jobClass: string | null): string => {
  if (jobClass !== null && jobClass !== '') return jobClass
  throw unexpected('job_class', 'the name of a class', jobClass)
}

const integerOrNull = (hash: JsonObject, key: string): number | null => {
  const value = hash[key] ?? null
  if (value === null || (typeof value === 'number' && Number.isInteger(value))) return value
  throw unexpected(key, 'an integer', value)
}

const providerJobId = (hash: JsonObject): string | null =>
  typeof hash.provider_job_id === 'number' ? String(hash.provider_job_id) : textOrNull(hash, 'provider_job_id')

const argumentList = (value: JsonValue): JsonValue[] => {
  if (Array.isArray(value)) return value
  throw unexpected('arguments', 'an array', value)
}

const counters = (value: JsonValue): JsonObject | null => {
  if (value === null || isObject(value)) return value
  throw unexpected('exception_executions', 'an object', value)
}

const KNOWN_KEYS: ReadonlySet<string> = new Set([
  'job_class',
  'job_id',
  'provider_job_id',
  'queue_name',
  'priority',
  'arguments',
  'executions',
  'exception_executions',
  'locale',
  'timezone',
  'enqueued_at',
  'scheduled_at',
])

// GoodJob 4.19 job.rb adds these to a copy of the hash while a job runs; their values are stored in columns.
const COLUMN_KEYS: ReadonlySet<string> = new Set(['good_job_labels', 'good_job_concurrency_key'])

const NO_KEYS: JsonObject = Object.freeze(Object.create(null))

const extraKeys = (hash: JsonObject): JsonObject => {
  let extra: JsonObject | undefined
  for (const key of Object.keys(hash)) {
    if (KNOWN_KEYS.has(key) || COLUMN_KEYS.has(key)) continue
    extra ??= Object.create(null) as JsonObject
    extra[key] = hash[key] as JsonValue
  }
  return extra ?? NO_KEYS
}

/** Writes a job hash with the keys of this Rails version. Throws SerializationError. @default railsVersion '7.2' */
export const stringifyJobData = (
  data: JobData,
  { railsVersion = DEFAULT_RAILS_VERSION }: { readonly railsVersion?: RailsVersion } = {},
): string => {
  const text = stringifyJson({
    job_class: data.jobClass,
    job_id: data.jobId,
    provider_job_id: data.providerJobId,
    queue_name: data.queueName,
    priority: data.priority,
    arguments: data.serializedArguments,
    executions: data.executions,
    exception_executions: data.exceptionExecutions,
    locale: data.locale,
    timezone: data.timezone,
    enqueued_at: data.enqueuedAt,
    ...(hasFullTimestamps(railsVersion) && { scheduled_at: data.scheduledAt }),
    ...extraKeys(data.extra),
  })
  if (!UNSTORABLE.test(text)) return text
  throw new SerializationError(`A job hash with U+0000 or an unpaired surrogate cannot be stored in jsonb`)
}

// JSON.stringify escapes exactly these. After an even number of backslashes the same letters are ordinary text.
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

const hasFullTimestamps = (railsVersion: RailsVersion): boolean => atLeast(railsVersion, '7.1')

/** `enqueued_at` and `scheduled_at` in UTC: nine fraction digits since Rails 7.1, whole seconds before. */
export const formatTimestamp = (date: Date, railsVersion: RailsVersion = DEFAULT_RAILS_VERSION): string => {
  if (!hasFullTimestamps(railsVersion)) return `${formatSeconds(date)}Z`
  const nanoseconds = date instanceof PreciseTime ? date.nanoseconds : date.getUTCMilliseconds() * 1_000_000
  return formatUtc(date, nanoseconds)
}

/** Reads a timestamp of the job hash as tolerantly as Ruby's Time.iso8601, with nanoseconds. Throws InvalidJobDataError. */
export const parseTimestamp = (text: string): RubyTime => {
  const parts = parseTime(text)
  if (parts) return new RubyTime(parts.epochMs, parts)
  throw new InvalidJobDataError(`invalid xmlschema format: ${JSON.stringify(text)}`)
}
