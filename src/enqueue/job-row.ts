import type { Job } from '../job/base.ts'
import { currentEnqueueContext } from '../job/context.ts'
import { jobToData } from '../job/serialization.ts'
import { type RailsVersion, stringifyJobData } from '../serialize/job-data.ts'
import type { NewJobRow } from '../sql/jobs-insert.ts'

export interface JobRowOptions {
  /** Stamp of the row, ISO text with microseconds; a bulk shares one. */
  readonly now: string
  readonly railsVersion: RailsVersion
  readonly enableListenNotify: boolean
}

/**
 * The row of a new job. GoodJob job.rb#enqueue_args: the row has the job's id, an immediate job is scheduled for the instant of
 * its creation, a missing queue or priority becomes 'default' and 0 in the columns while the JSON keeps null.
 */
export const jobRow = (job: Job, { now, railsVersion, enableListenNotify }: JobRowOptions): NewJobRow => {
  const context = currentEnqueueContext()
  const data = jobToData(job, { now: new Date(now), railsVersion })
  const isNotified = job.notify ?? job.jobConstructor.notify ?? true
  return {
    id: job.jobId,
    job_class: job.jobClass,
    queue_name: job.queueName?.trim() ? job.queueName : 'default',
    priority: job.priority ?? 0,
    serialized_params: stringifyJobData(data, { railsVersion }),
    scheduled_at: job.scheduledAt?.toISOString() ?? now,
    created_at: now,
    labels: job.labels.length > 0 ? job.labels : null,
    concurrency_key: job.concurrencyKey,
    cron_key: context.cronKey ?? null,
    cron_at: context.cronAt?.toISOString() ?? null,
    batch_id: context.batchId ?? null,
    batch_callback_id: context.batchCallbackId ?? null,
    is_notified: enableListenNotify && isNotified,
  }
}
