import type { EnqueueAdapter } from '../enqueue/adapter.ts'
import type { Job, JobConstructor } from '../job/base.ts'
import { isJobClass } from '../job/definition/job-class.ts'
import { jobClassName } from '../job/definition/naming.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import type { CheckOptions } from './completion/completion.ts'
import { ToldOnce } from './completion/told-once.ts'

/** Classes that batches of this process name as callbacks: a client registers none, and knows them all the same. */
const callbackClasses = new Map<string, JobConstructor>()

/** Queue and priority of a class that this process knows, for callbacks of batches that name none. */
const classDefaultsOf =
  (registry: JobRegistry | undefined): CheckOptions['classDefaults'] =>
  (name) => {
    const jobClass = registry?.get(name) ?? callbackClasses.get(name)
    return jobClass && defaultsOf(jobClass)
  }

const defaultsOf = (jobClass: JobConstructor): ReturnType<CheckOptions['classDefaults']> => {
  try {
    const job: Job = new jobClass()
    return { queueName: job.queueName, priority: job.priority ?? 0 }
  } catch {
    // The class's own code needs arguments to say it. That must not fail the member whose end fires the callback.
    return undefined
  }
}

const told = new ToldOnce()

/** What a check needs, as the adapter is configured. */
export const checkOptionsOf = ({ configuration, clock }: EnqueueAdapter, registry?: JobRegistry): CheckOptions => ({
  clock,
  railsVersion: configuration.railsVersion,
  globalidApp: configuration.globalidApp,
  refireFinish: configuration.refireFinish,
  told,
  isNotified: configuration.enableListenNotify,
  deletesFinishedJobs: configuration.preserveJobRecords !== true,
  cleanupAgeSeconds: configuration.cleanupDiscardedJobs
    ? configuration.cleanupPreservedJobsBeforeSecondsAgo
    : undefined,
  classDefaults: classDefaultsOf(registry),
})

/** A callback is a Node class or the name of a Ruby class. */
export const callbackName = (callback: unknown): string | null => {
  if (callback === null || callback === undefined) return null
  if (typeof callback === 'string') return callback
  if (isJobClass(callback)) {
    const name = jobClassName(callback)
    callbackClasses.set(name, callback)
    return name
  }
  throw new TypeError(`a batch callback is a Job class or the name of one, got ${String(callback)}`)
}
