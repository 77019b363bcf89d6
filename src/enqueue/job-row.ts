import type { Job } from '../job/base.ts'
import { keyOfNewJob, labelsOfNewJob } from '../job/concurrency/evaluation.ts'
import { currentEnqueueContext } from '../job/context.ts'
import { jobToData } from '../job/serialization.ts'
import { STATE } from '../job/state.ts'
import { type RailsVersion, stringifyJobData } from '../serialize/job-data.ts'
import type { NewJobRow } from '../sql/jobs/insert.ts'
import { type Clock, columnText } from '../time.ts'

export interface JobRowOptions {
  readonly clock: Clock
  /** The timestamp that the rows of a bulk share. @default a new one, later than the hash's, as for a single job in Ruby */
  readonly bulkAt?: string
  readonly railsVersion: RailsVersion
  readonly enableListenNotify: boolean
}

/**
 * The row of a new job. GoodJob job.rb#enqueue_args: the row has the job's id; an immediate job is scheduled for the time of its creation; a
 * missing queue or priority becomes 'default' or 0 in the columns, while the JSON keeps null.
 */
export const jobRow = (job: Job, { clock, bulkAt, railsVersion, enableListenNotify }: JobRowOptions): NewJobRow => {
  const context = currentEnqueueContext()
  const { cron } = job[STATE]
  const serializedParams = stringifyJobData(jobToData(job, { now: clock.now(), railsVersion }), { railsVersion })
  const createdAt = bulkAt ?? clock.timestamp()
  const labels = labelsOfNewJob(job)
  const isNotified = job.notify ?? job.jobConstructor.notify ?? true
  return {
    id: job.jobId,
    job_class: job.jobClass,
    queue_name: job.queueName?.trim() ? job.queueName : 'default',
    priority: job.priority ?? 0,
    serialized_params: serializedParams,
    scheduled_at: job.scheduledAt ? columnText(job.scheduledAt) : createdAt,
    created_at: createdAt,
    labels: labels.length > 0 ? labels : null,
    concurrency_key: keyOfNewJob(job),
    cron_key: cron?.key ?? null,
    cron_at: cron ? columnText(cron.at) : null,
    batch_id: context.batchId ?? null,
    batch_callback_id: context.batchCallbackId ?? null,
    is_notified: enableListenNotify && isNotified,
  }
}
