import type { JobEvent } from '../events.ts'
import type { Job } from './base.ts'
import { STATE } from './state.ts'

/** What events say about a job; its arguments are never part of it. */
export const jobEvent = (job: Job): JobEvent => {
  const { jobId, jobClass, queueName, executions } = job
  const { processId } = job[STATE].run
  const event = { jobId, jobClass, queueName, executions }
  return processId === undefined ? event : { ...event, processId }
}
