import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { type JobState, jobStateSql } from '../jobs/states.ts'

/** What a list can ask of batches. 'recoverable': nothing is open, and it is discarded with nothing broken, or was never completed. */
export const BATCH_STATES = ['pending', 'running', 'succeeded', 'discarded', 'finished', 'recoverable'] as const
export type BatchState = (typeof BATCH_STATES)[number]

export interface BatchCursor {
  readonly created_at: string
  readonly id: string
}

export interface BatchPage {
  readonly state?: BatchState | undefined
  readonly limit: number
  readonly after?: BatchCursor | undefined
}

/** A batch as a list shows it; `jobs` holds only the states that occur. */
export interface ListedBatch extends BatchCursor {
  readonly description: string | null
  readonly state: Exclude<BatchState, 'finished' | 'recoverable'>
  readonly on_success: string | null
  readonly on_finish: string | null
  readonly on_discard: string | null
  readonly enqueued_at: string | null
  readonly discarded_at: string | null
  readonly jobs_finished_at: string | null
  readonly finished_at: string | null
  readonly jobs: Partial<Readonly<Record<JobState, number>>>
}

const STATE = `CASE
    WHEN discarded_at IS NOT NULL THEN 'discarded'
    WHEN finished_at IS NOT NULL THEN 'succeeded'
    WHEN enqueued_at IS NOT NULL THEN 'running'
    ELSE 'pending'
  END`

const filterSql = (state: BatchState, facts: Facts): string =>
  ({
    pending: 'enqueued_at IS NULL AND discarded_at IS NULL AND finished_at IS NULL',
    running: 'enqueued_at IS NOT NULL AND discarded_at IS NULL AND finished_at IS NULL',
    succeeded: 'finished_at IS NOT NULL AND discarded_at IS NULL',
    discarded: 'discarded_at IS NOT NULL',
    finished: 'finished_at IS NOT NULL',
    recoverable: `(discarded_at IS NOT NULL OR ${facts.hasJobsFinishedAt ? 'jobs_finished_at' : 'finished_at'} IS NULL)
    AND enqueued_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM good_jobs WHERE batch_id = good_job_batches.id AND good_jobs.finished_at IS NULL)
    AND (${facts.hasJobsFinishedAt ? 'jobs_finished_at' : 'finished_at'} IS NULL OR NOT EXISTS (
      SELECT 1 FROM good_jobs
      WHERE batch_id = good_job_batches.id AND good_jobs.finished_at IS NOT NULL AND good_jobs.error IS NOT NULL))`,
  })[state]

/** Members are counted for the batches of the page only. $1 now */
const listBatchesText = (facts: Facts, where: string, limit: string) => `
WITH page AS MATERIALIZED (
  SELECT id, created_at, description, on_success, on_finish, on_discard, enqueued_at, discarded_at, finished_at,
    ${facts.hasJobsFinishedAt ? 'jobs_finished_at' : 'NULL::timestamp AS jobs_finished_at'}, ${STATE} AS state
  FROM good_job_batches
  ${where}
  ORDER BY created_at DESC, id DESC
  LIMIT ${limit}
),
member AS (
  SELECT batch_id, ${jobStateSql('$1')} AS state, count(*)::int AS jobs
  FROM good_jobs WHERE batch_id IN (SELECT id FROM page) GROUP BY 1, 2
)
SELECT page.*, coalesce((SELECT json_object_agg(member.state, member.jobs) FROM member WHERE batch_id = page.id), '{}')::text AS jobs
FROM page ORDER BY created_at DESC, id DESC`

/** One page of batches, youngest first. */
export const listBatches = async (
  db: Queryable,
  facts: Facts,
  now: string,
  { state, limit, after }: BatchPage,
): Promise<ListedBatch[]> => {
  const values: unknown[] = [now]
  const parts = state === undefined ? [] : [filterSql(state, facts)]
  if (after) parts.push(isAfter(after, values))
  const where = parts.length > 0 ? `WHERE ${parts.join(' AND ')}` : ''
  const rows = await rowsOf<ListedBatch & { jobs: string }>(db, {
    text: listBatchesText(facts, where, `$${values.push(limit)}`),
    values,
  })
  return rows.map((row) => ({ ...row, jobs: JSON.parse(row.jobs) as ListedBatch['jobs'] }))
}

/** A batch that may recover, or be completed: nothing in it is open, and nothing broken. */
export interface RecoverableBatch extends BatchCursor {
  readonly description: string | null
  readonly discarded_at: string | null
}

/** A page of the batches of the filter 'recoverable', youngest first, without their jobs. */
export const findRecoverablePage = (
  db: Queryable,
  facts: Facts,
  { limit, after }: Pick<BatchPage, 'limit' | 'after'>,
): Promise<RecoverableBatch[]> => {
  const values: unknown[] = []
  const parts = [filterSql('recoverable', facts), ...(after ? [isAfter(after, values)] : [])]
  return rowsOf<RecoverableBatch & Record<string, unknown>>(db, {
    text: `SELECT id, created_at, description, discarded_at
FROM good_job_batches
WHERE ${parts.join(' AND ')}
ORDER BY created_at DESC, id DESC
LIMIT $${values.push(limit)}`,
    values,
  })
}

const isAfter = ({ created_at, id }: BatchCursor, values: unknown[]): string =>
  `(created_at, id) < ($${values.push(created_at)}, $${values.push(id)}::uuid)`
