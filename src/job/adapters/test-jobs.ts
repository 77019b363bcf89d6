import { isDeepStrictEqual } from 'node:util'
import { ConfigurationError } from '../../errors.ts'
import { deserializeArguments, serializeArguments } from '../../serialize/arguments/arguments.ts'
import { parseJobData } from '../../serialize/job-data.ts'
import { parseJson, stringifyJson } from '../../serialize/json.ts'
import type { Job, JobConstructor } from '../base.ts'
import { isJobClass } from '../definition/job-class.ts'
import { jobFromText } from '../serialization.ts'
import { STATE } from '../state.ts'

/** Selects the jobs of an assertion. */
export interface TestFilter {
  /** Jobs of these classes, or jobs for which the function returns true. */
  readonly only?: JobConstructor | readonly JobConstructor[] | ((job: TestJob) => boolean) | undefined
  /** Jobs of all classes except these. */
  readonly except?: JobConstructor | readonly JobConstructor[] | ((job: TestJob) => boolean) | undefined
  readonly queue?: string | undefined
  /** Jobs without a scheduled time, or scheduled for this time or earlier. */
  readonly at?: Date | undefined
}

/** The expected properties of a job; an absent key matches everything. */
export interface ExpectedJob {
  readonly job?: JobConstructor | undefined
  readonly args?: readonly unknown[] | ((args: readonly unknown[]) => boolean) | undefined
  /** Compared with a resolution of one second. */
  readonly at?: Date | ((at: Date | null) => boolean) | undefined
  readonly queue?: string | undefined
  readonly priority?: number | undefined
  readonly labels?: readonly string[] | undefined
}

/** A job in the TestAdapter: its hash as it would be stored, and the other columns of the row. */
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

  /** The arguments that `perform` would receive. */
  get args(): unknown[] {
    return deserializeArguments(parseJobData(this.serializedParams).serializedArguments)
  }

  /** The job as a worker would create it from the row, with its arguments not read yet. */
  build(): Job {
    const job = jobFromText(this.jobConstructor, this.serializedParams)
    job.labels = this.labels
    return job
  }

  /** The same job with its arguments read. */
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

/** Whether a job passes a filter. Throws ConfigurationError if both `only` and `except` are set. */
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

/** Whether a job has the expected properties. */
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

// Compared as JSON, because a job receives its arguments after serialization.
const hasArguments = (job: TestJob, args: ExpectedJob['args']): boolean => {
  if (args === undefined) return true
  if (typeof args === 'function') return args(job.args)
  const expected = parseJson(stringifyJson(serializeArguments(args, job.jobConstructor.argumentOptions)))
  return isDeepStrictEqual(parseJobData(job.serializedParams).serializedArguments, expected)
}
