import { isDeepStrictEqual } from 'node:util'
import { ConfigurationError } from '../../errors.ts'
import { deserializeArguments, serializeArguments } from '../../serialize/arguments/arguments.ts'
import { parseJobData } from '../../serialize/job-data.ts'
import { parseJson, stringifyJson } from '../../serialize/json.ts'
import type { Job, JobConstructor } from '../base.ts'
import { isJobClass } from '../definition/job-class.ts'
import { jobFromText } from '../serialization.ts'
import { STATE } from '../state.ts'

/** Which jobs an assertion is about. */
export interface TestFilter {
  /** Jobs of these classes, or those a function picks. */
  readonly only?: JobConstructor | readonly JobConstructor[] | ((job: TestJob) => boolean) | undefined
  /** Jobs of other classes than these. */
  readonly except?: JobConstructor | readonly JobConstructor[] | ((job: TestJob) => boolean) | undefined
  readonly queue?: string | undefined
  /** Jobs without a time or due by this one. */
  readonly at?: Date | undefined
}

/** What a job must be like; an absent key matches everything. */
export interface ExpectedJob {
  readonly job?: JobConstructor | undefined
  readonly args?: readonly unknown[] | ((args: readonly unknown[]) => boolean) | undefined
  /** To the second. */
  readonly at?: Date | ((at: Date | null) => boolean) | undefined
  readonly queue?: string | undefined
  readonly priority?: number | undefined
  readonly labels?: readonly string[] | undefined
}

/** A job that the TestAdapter was given: the hash as it would have been stored, and what the row would say besides. */
export class TestJob {
  readonly jobConstructor: JobConstructor
  readonly jobId: string
  readonly jobClass: string
  readonly queueName: string
  readonly priority: number | null
  readonly scheduledAt: Date | null
  readonly labels: readonly string[]
  readonly serializedParams: string

  constructor(job: Job, serializedParams: string) {
    const { jobConstructor, jobId, jobClass, queueName, priority, scheduledAt, labels } = job
    this.jobConstructor = jobConstructor
    this.jobId = jobId
    this.jobClass = jobClass
    this.queueName = queueName
    this.priority = priority
    this.scheduledAt = scheduledAt
    this.labels = labels
    this.serializedParams = serializedParams
  }

  /** The arguments as `perform` would get them. */
  get args(): unknown[] {
    return deserializeArguments(parseJobData(this.serializedParams).serializedArguments)
  }

  /** A job as a worker would build it from the row, arguments not read yet. */
  build(): Job {
    const job = jobFromText(this.jobConstructor, this.serializedParams)
    job.labels = this.labels
    return job
  }

  /** The same with its arguments read. */
  buildWithArguments(): Job {
    const job = this.build()
    job.arguments = this.args
    job[STATE].wire = null
    return job
  }

  toString(): string {
    const at = this.scheduledAt ? ` at ${this.scheduledAt.toISOString()}` : ''
    const args = stringifyJson(parseJobData(this.serializedParams).serializedArguments)
    return `${this.jobClass}${args} in ${this.queueName}, priority ${this.priority ?? 'none'}${at}`
  }
}

/** Whether a filter lets a job pass. Throws ConfigurationError for `only` together with `except`. */
export const passes = (job: TestJob, { only, except, queue, at }: TestFilter): boolean => {
  if (only && except) throw new ConfigurationError('Give either only or except, not both')
  if (only && !isAmong(job, only)) return false
  if (except && isAmong(job, except)) return false
  if (queue !== undefined && job.queueName !== queue) return false
  return !(at && job.scheduledAt && job.scheduledAt > at)
}

const isAmong = (job: TestJob, filter: NonNullable<TestFilter['only']>): boolean => {
  if (isJobClass(filter)) return job.jobConstructor === filter
  if (typeof filter === 'function') return filter(job)
  return filter.includes(job.jobConstructor)
}

/** Whether a job is as expected. */
export const isAsExpected = (job: TestJob, expected: ExpectedJob): boolean => {
  const { job: jobClass, queue, priority, labels } = expected
  if (jobClass && job.jobConstructor !== jobClass) return false
  if (queue !== undefined && job.queueName !== queue) return false
  if (priority !== undefined && job.priority !== priority) return false
  if (labels && !isDeepStrictEqual(job.labels, labels)) return false
  return hasTime(job, expected.at) && hasArguments(job, expected.args)
}

const hasTime = ({ scheduledAt }: TestJob, at: ExpectedJob['at']): boolean => {
  if (at === undefined) return true
  if (typeof at === 'function') return at(scheduledAt)
  return scheduledAt !== null && Math.abs(scheduledAt.getTime() - at.getTime()) <= 1000
}

// Compared as JSON: what a job gets is what survives serialization.
const hasArguments = (job: TestJob, args: ExpectedJob['args']): boolean => {
  if (args === undefined) return true
  if (typeof args === 'function') return args(job.args)
  const expected = parseJson(stringifyJson(serializeArguments(args, job.jobConstructor.argumentOptions)))
  return isDeepStrictEqual(parseJobData(job.serializedParams).serializedArguments, expected)
}
