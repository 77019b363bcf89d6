/** The event that a callback job is for. */
export const CALLBACK_EVENT = `serialized_params #>> '{arguments,1,event,value}'`

/** Whether Node enqueued the job of this row: ids of Node begin with the time (UUID version 7), those of Rails are random. */
export const MADE_IN_NODE = (id: string) => `substr(${id}::text, 15, 1) = '7'`

/** An execution `e` after which the job has failed for good: with an unhandled error (1), or discarded (5). */
export const IS_BROKEN = 'e.error_event IN (1, 5)'

/** Of a `batch`: an attempt that discarded it. */
export const DISCARDING_ATTEMPT = `
  SELECT FROM good_jobs JOIN good_job_executions e ON e.active_job_id = good_jobs.id
  WHERE good_jobs.batch_id = batch.id AND e.error IS NOT NULL AND ${IS_BROKEN}`
