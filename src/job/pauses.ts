import type { Job } from './base.ts'

/** The pauses: workers that honour them do not start jobs with these queues, classes and labels. */
export interface Pauses {
  readonly queues: readonly string[]
  readonly jobClasses: readonly string[]
  readonly labels: readonly string[]
}

/** The reason for which a running job should end early. GoodJob: Adapter#stopping?. */
export type StoppingReason = 'stopping' | 'force_discarded' | 'queue_name_paused' | 'job_class_paused' | 'label_paused'

/** The first pause that applies to this job, in GoodJob's order. GoodJob 4.23.1 setting.rb#paused?. */
export const pauseReason = (job: Job, { queues, jobClasses, labels }: Pauses): StoppingReason | false => {
  if (queues.includes(job.queueName)) return 'queue_name_paused'
  if (jobClasses.includes(job.jobClass)) return 'job_class_paused'
  return job.labels.some((label) => labels.includes(label)) && 'label_paused'
}
