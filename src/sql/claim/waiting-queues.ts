import { type Queryable, rowsOf } from '../connection/queryable.ts'

/** Each name costs the claim one index scan. */
const MAX_QUEUES = 30

/** The condition of index_good_jobs_dequeue_by_queue. */
const IS_WAITING = 'finished_at IS NULL AND locked_by_id IS NULL'

// From name to name: each step reads one entry of the index, however many jobs wait in a queue.
const FIND_WAITING_QUEUES = `
WITH RECURSIVE queue AS (
  (SELECT queue_name FROM good_jobs WHERE ${IS_WAITING} AND queue_name IS NOT NULL ORDER BY queue_name LIMIT 1)
  UNION ALL
  SELECT (
    SELECT queue_name FROM good_jobs WHERE ${IS_WAITING} AND queue_name > queue.queue_name ORDER BY queue_name LIMIT 1
  )
  FROM queue
  WHERE queue_name IS NOT NULL
)
SELECT queue_name FROM (SELECT queue_name FROM queue LIMIT ${MAX_QUEUES + 1}) AS named WHERE queue_name IS NOT NULL
UNION ALL
SELECT NULL WHERE EXISTS (SELECT FROM good_jobs WHERE ${IS_WAITING} AND queue_name IS NULL)`

/** Returns the queues with waiting jobs; undefined if there are many, or jobs without a queue. Needs index_good_jobs_dequeue_by_queue. */
export const findWaitingQueues = async (db: Queryable): Promise<string[] | undefined> => {
  const rows = await rowsOf<{ queue_name: string | null }>(db, { text: FIND_WAITING_QUEUES })
  const names = rows.flatMap(({ queue_name }) => queue_name ?? [])
  return names.length < rows.length || names.length > MAX_QUEUES ? undefined : names
}
