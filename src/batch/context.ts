import type { EnqueueAdapter } from '../enqueue/adapter.ts'
import type { Job, JobConstructor } from '../job/base.ts'
import { isJobClass } from '../job/definition/job-class.ts'
import { jobClassName } from '../job/definition/naming.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import type { CheckOptions } from './completion/completion.ts'
import { ToldOnce } from './completion/told-once.ts'

/** Classes that batches of this process name as callbacks. A client registers no classes, but it knows these. */
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
    // The class may compute its queue from arguments, which are missing here. This must not fail the member that enqueues the callback.
    return undefined
  }
}

const told = new ToldOnce()

/** The options of a batch check, from the adapter's configuration. */
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
