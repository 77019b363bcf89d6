import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { isAfter } from '../jobs/filter.ts'
import { type JobState, jobStateSql } from '../jobs/states.ts'

/** States to filter batches by. 'recoverable': no member is open; the batch is discarded without a broken member or was never completed. */
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

/** Batches that one statement reads; for recoverable batches it also queries their members. */
const STEP = 2_000

/** Reads the next batches in the order of a page: where they end, and which of them match. */
const stepText = (facts: Facts, { state, limit, after }: BatchPage, values: unknown[]): string => `
WITH step AS MATERIALIZED (
  SELECT id, created_at, description, on_success, on_finish, on_discard, enqueued_at, discarded_at, finished_at,
    ${facts.hasJobsFinishedAt ? 'jobs_finished_at' : 'NULL::timestamp AS jobs_finished_at'}
  FROM good_job_batches
  ${after === undefined ? '' : `WHERE ${isAfter('created_at', { at: after.created_at, id: after.id }, values)}`}
  ORDER BY created_at DESC, id DESC
  LIMIT ${state === undefined ? `$${values.push(limit)}` : STEP}
),
last AS (
  SELECT created_at AS last_at, id AS last_id FROM step ORDER BY created_at ASC, id ASC LIMIT 1
)
SELECT last.last_at, last.last_id, (SELECT count(*)::int FROM step) AS seen, page.*
FROM last
LEFT JOIN LATERAL (
  SELECT good_job_batches.*, ${STATE} AS state
  FROM step AS good_job_batches
  ${state === undefined ? '' : `WHERE ${filterSql(state, facts)}`}
  ORDER BY created_at DESC, id DESC
  LIMIT $${values.push(limit)}
) AS page ON true
ORDER BY page.created_at DESC, page.id DESC`

type FoundBatch = Omit<ListedBatch, 'jobs'>
type StepRow = FoundBatch & StepEnd & Record<string, unknown>

interface StepEnd {
  readonly last_at: string
  readonly last_id: string
  readonly seen: number
}

/** Some of the batches of a search, and the position where the search continues; undefined after the last batch. */
export interface BatchStep {
  readonly batches: readonly FoundBatch[]
  readonly position: BatchCursor | undefined
}

/** Continues the search after `after`: returns at most `limit` matches, perhaps none, among the next batches. */
export const searchBatches = async (db: Queryable, facts: Facts, page: BatchPage): Promise<BatchStep> => {
  const values: unknown[] = []
  const rows = await rowsOf<StepRow>(db, { text: stepText(facts, page, values), values })
  const [row] = rows
  if (row === undefined) return { batches: [], position: undefined }
  const batches = rows
    .filter(({ id }) => id !== null)
    .map(({ last_at: _at, last_id: _id, seen: _seen, ...batch }) => batch)
  if (batches.length === page.limit) return { batches, position: batches.at(-1) }
  const isEnd = row.seen < (page.state === undefined ? page.limit : STEP)
  return { batches, position: isEnd ? undefined : { created_at: row.last_at, id: row.last_id } }
}

/** $1 batches uuid[] · $2 now timestamp */
const COUNT_MEMBERS = `
SELECT batch_id, ${jobStateSql('$2')} AS state, count(*)::int AS jobs
FROM good_jobs WHERE batch_id = ANY ($1::uuid[]) GROUP BY 1, 2`

/** Returns these batches with the number of their members by state. */
export const withMembers = async (
  db: Queryable,
  batches: readonly FoundBatch[],
  now: string,
): Promise<ListedBatch[]> => {
  const counts = await rowsOf<{ batch_id: string; state: JobState; jobs: number }>(db, {
    text: COUNT_MEMBERS,
    values: [batches.map(({ id }) => id), now],
  })
  return batches.map((batch) => {
    const own = counts.filter(({ batch_id }) => batch_id === batch.id)
    return { ...batch, jobs: Object.fromEntries(own.map(({ state, jobs }) => [state, jobs])) }
  })
}
