import type { JobEvent } from '../events.ts'
import type { Job } from './base.ts'
import { STATE } from './state.ts'

/** The fields that identify a job in events; its arguments are never included. */
export const jobEvent = (job: Job): JobEvent => {
  const { processId } = job[STATE].run
  const { jobId, jobClass, queueName, executions } = job
  if (processId === undefined) return { jobId, jobClass, queueName, executions }
  return { jobId, jobClass, queueName, executions, processId }
}
