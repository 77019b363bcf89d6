import type { Job } from './base.ts'

/** The pauses: workers that honour them do not start jobs with these queues, classes and labels. */
export interface Pauses {
  readonly queues: readonly string[]
  readonly jobClasses: readonly string[]
  readonly labels: readonly string[]
}

/** The reason for which a running job should end early. GoodJob: Adapter#stopping?. */
export type StoppingReason = 'stopping' | 'force_discarded' | 'queue_name_paused' | 'job_class_paused' | 'label_paused'

/** What is paused. */
export interface Pause {
  readonly by: 'queue' | 'class' | 'label'
  readonly name: string
}

/** What decides whether a job is paused. */
interface Pausable {
  readonly queueName: string | null
  readonly jobClass: string | null
  readonly labels: readonly string[]
}

/**
 * The first pause that applies to a job, in GoodJob's order. A job without a queue counts as paused while any queue is. GoodJob 4.23.1
 * setting.rb#paused?.
 */
export const pauseOf = ({ queueName, jobClass, labels }: Pausable, pauses: Pauses): Pause | undefined => {
  const queue = queueName === null ? pauses.queues[0] : pauses.queues.find((name) => name === queueName)
  if (queue !== undefined) return { by: 'queue', name: queue }
  if (jobClass !== null && pauses.jobClasses.includes(jobClass)) return { by: 'class', name: jobClass }
  const label = labels.find((name) => pauses.labels.includes(name))
  return label === undefined ? undefined : { by: 'label', name: label }
}

const REASONS = { queue: 'queue_name_paused', class: 'job_class_paused', label: 'label_paused' } as const

/** Why a running job should end early, if it is paused. */
export const pauseReason = (job: Job, pauses: Pauses): StoppingReason | false => {
  const pause = pauseOf(job, pauses)
  return pause !== undefined && REASONS[pause.by]
}
