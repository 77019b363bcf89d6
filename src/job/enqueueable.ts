import { ConfigurationError } from '../errors.ts'
import { isUuid } from '../uuid.ts'
import type { Job } from './base.ts'
import { isJobClass } from './definition/job-class.ts'
import { STATE } from './state.ts'

/**
 * Throws ConfigurationError for a job that must not be stored: the name or the static fields of its class are wrong, or its id is not a
 * UUID.
 */
export const assertEnqueueable = (job: Job): void => {
  // Checked here, so that the error comes before the callbacks and the transaction.
  const { jobClass, jobId } = job
  if (!isUuid(jobId)) {
    throw new ConfigurationError(
      `${jobClass}: jobId must be a UUID, got ${JSON.stringify(jobId)}. For one that is always the same for a name, take a UUID of ` +
        "version 5, e.g. v5('order-mail-1', namespace) of the npm package uuid, with a namespace UUID of your own",
    )
  }
  // In lower case, as the server returns it: the row is found by this text.
  job.jobId = jobId.toLowerCase()
}

/** Flattens a list of jobs and lists. Throws ConfigurationError that names a value that is not a job, and its place. */
export const jobsOf = (where: string, given: readonly unknown[]): Job[] =>
  given.flat().map((value, index) => {
    if (isJob(value)) return value
    throw new ConfigurationError(
      `${where} takes jobs, such as new WelcomeJob(7); number ${index + 1} is ${kindOf(value)}`,
    )
  })

export const isJob = (value: unknown): value is Job => typeof value === 'object' && value !== null && STATE in value

/** The description of a value in messages. */
export const kindOf = (value: unknown): string => {
  if (value === null || value === undefined || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Promise) return 'a promise: await it first'
  if (isJobClass(value)) return `the class ${value.name}: make a job by new ${value.name}(…)`
  if (typeof value !== 'object') return `a ${typeof value}`
  const name: unknown = value.constructor?.name
  if (typeof name === 'string' && name !== 'Object' && name !== '') return `a ${name}`
  const keys = Object.keys(value)
  return keys.length === 0 ? 'an object without keys' : `an object with ${keys.slice(0, 3).join(', ')}`
}
