import type { JobEvent } from '../events.ts'
import type { Job } from './base.ts'
import { STATE } from './state.ts'

/** What events say about a job; its arguments are never part of it. */
export const jobEvent = (job: Job): JobEvent => {
  const { processId } = job[STATE].run
  const { jobId, jobClass, queueName, executions } = job
  if (processId === undefined) return { jobId, jobClass, queueName, executions }
  return { jobId, jobClass, queueName, executions, processId }
}
