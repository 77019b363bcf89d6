import { serializeArguments } from '../serialize/arguments/arguments.ts'
import { formatTimestamp, type JobData, parseJobData, parseTimestamp, stringifyJobData } from '../serialize/job-data.ts'
import type { JsonObject, JsonValue } from '../serialize/json.ts'
import type { RailsVersion } from '../serialize/rails-version.ts'
import type { Job, JobConstructor } from './base.ts'
import { continuationKeys } from './continuation/keys.ts'
import { STATE } from './state.ts'

export interface SerializeJobOptions {
  /** The value of enqueued_at. */
  readonly now: Date
  readonly railsVersion: RailsVersion
}

/** The hash of a job in its current state. Throws SerializationError. Active Job core.rb#serialize. */
export const jobToData = (job: Job, { now, railsVersion }: SerializeJobOptions): JobData => ({
  jobClass: job.jobClass,
  jobId: job.jobId,
  providerJobId: job.providerJobId,
  queueName: job.queueName,
  priority: job.priority,
  // Arguments that were never read, or could not be read, are written back unchanged.
  serializedArguments: job[STATE].wire ?? argumentsToWire(job, railsVersion),
  executions: job.executions,
  exceptionExecutions: job.exceptionExecutions as JsonObject | null,
  locale: job.locale,
  timezone: job.timezone,
  enqueuedAt: formatTimestamp(now, railsVersion),
  scheduledAt: job.scheduledAt && formatTimestamp(job.scheduledAt, railsVersion),
  extra: extraKeys(job, railsVersion),
})

const argumentsToWire = (job: Job, railsVersion: RailsVersion): JsonValue[] => {
  const { argumentOptions } = job.jobConstructor
  const given = argumentOptions.undefinedAsNull ? job.arguments : withoutTrailingUndefined(job.arguments)
  return serializeArguments(given, { ...argumentOptions, railsVersion, root: `${job.jobClass}, argument ` })
}

/** Removes trailing undefined arguments: for `perform` an argument that is left out is undefined as well. */
const withoutTrailingUndefined = (args: readonly unknown[]): readonly unknown[] => {
  let { length } = args
  while (length > 0 && args[length - 1] === undefined) length--
  return length === args.length ? args : args.slice(0, length)
}

const extraKeys = (job: Job, railsVersion: RailsVersion): JsonObject => {
  const extra = job[STATE].extra
  const { continuable } = job.jobConstructor
  if (!continuable && job.notify === null) return extra ?? {}
  const keys: JsonObject = { ...extra }
  if (job.notify !== null) keys.good_job_notify = job.notify
  return continuable ? { ...keys, ...continuationKeys(job, railsVersion) } : keys
}

/** Creates a job from its hash; its arguments are read when it runs. Throws for invalid times, and errors of the user's constructor. */
export const jobFromData = <T extends Job>(jobClass: JobConstructor<T>, data: JobData): T => {
  const job = new jobClass()
  const { extra } = data
  if (data.jobId !== '') job.jobId = data.jobId
  job.providerJobId = data.providerJobId
  job.queueName = data.queueName ?? 'default'
  job.priority = data.priority
  job.executions = data.executions
  job.exceptionExecutions = data.exceptionExecutions as Record<string, number> | null
  if (data.locale !== null) job.locale = data.locale
  if (data.timezone !== null) job.timezone = data.timezone
  if (data.enqueuedAt !== null) job.enqueuedAt = parseTimestamp(data.enqueuedAt)
  if (data.scheduledAt !== null) job.scheduledAt = parseTimestamp(data.scheduledAt)
  if (typeof extra.good_job_notify === 'boolean') job.notify = extra.good_job_notify
  job[STATE].extra = extra
  job[STATE].wire = data.serializedArguments
  return job
}

/** The JSON text of a job's hash. Throws SerializationError. */
export const jobToText = (job: Job, options: SerializeJobOptions): string =>
  stringifyJobData(jobToData(job, options), options)

/** Creates a job from the JSON text of its hash. Throws InvalidJobDataError. */
export const jobFromText = <T extends Job>(jobClass: JobConstructor<T>, text: string): T =>
  jobFromData(jobClass, parseJobData(text))
