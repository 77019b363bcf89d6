import { isoText, type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { plainArray, preparedUnlessPooled } from '../text.ts'
import { successCallback } from './history.ts'

/** What the check reads of a batch under its lock. Times are ISO text. */
export interface LockedBatch {
  readonly id: string
  readonly created_at: string
  readonly description: string | null
  readonly enqueued_at: string | null
  readonly discarded_at: string | null
  readonly jobs_finished_at: string | null
  readonly finished_at: string | null
  readonly on_discard: string | null
  readonly on_success: string | null
  readonly on_finish: string | null
  readonly callback_queue_name: string | null
  readonly callback_priority: number | null
  readonly has_open_member: boolean
  /** End of the member that broke last. Null while a member is open: finding it may then scan the whole batch. */
  readonly broken_at: string | null
  readonly has_open_callback: boolean
}

// An open member has no finished_at, a broken one has finished_at and error.
const stateColumns = (facts: Facts) => `
  batch.id, batch.created_at, batch.description, batch.enqueued_at, batch.discarded_at,
  ${facts.hasJobsFinishedAt ? 'batch.jobs_finished_at' : 'NULL::timestamp AS jobs_finished_at'}, batch.finished_at,
  batch.on_discard, batch.on_success, batch.on_finish, batch.callback_queue_name, batch.callback_priority,
  member.is_open AS has_open_member,
  CASE WHEN NOT member.is_open THEN (
    SELECT max(good_jobs.finished_at) FROM good_jobs WHERE batch_id = batch.id AND good_jobs.finished_at IS NOT NULL AND error IS NOT NULL
  ) END AS broken_at,
  EXISTS (SELECT 1 FROM good_jobs WHERE batch_callback_id = batch.id AND finished_at IS NULL) AS has_open_callback`

const BATCH_MEMBERS = `
CROSS JOIN LATERAL (
  SELECT EXISTS (SELECT 1 FROM good_jobs WHERE batch_id = batch.id AND finished_at IS NULL) AS is_open
) AS member`

/** $1 batch ids uuid[]. Times are returned as JSON, because in a caller's transaction that client's own parsers would change them. */
const readBatchStates = (facts: Facts) => `
SELECT row_to_json(state)::text AS state
FROM (
  SELECT ${stateColumns(facts)}
  FROM good_job_batches AS batch
  ${BATCH_MEMBERS}
  WHERE batch.id = ANY ($1::uuid[])
) AS state`

/** Returns the states of these batches; missing batches are left out. */
export const findBatchStates = async (db: Queryable, facts: Facts, ids: readonly string[]): Promise<LockedBatch[]> => {
  const statement = preparedUnlessPooled(facts, 'batch_states', readBatchStates(facts), [plainArray(ids)])
  const rows = await rowsOf<{ state: string }>(db, statement)
  return rows.map(({ state }) => batchState(state))
}

const TIMES = ['created_at', 'enqueued_at', 'discarded_at', 'jobs_finished_at', 'finished_at', 'broken_at'] as const

const batchState = (text: string): LockedBatch => {
  const state = JSON.parse(text) as LockedBatch
  const times = TIMES.map((name) => [name, state[name] && isoText(state[name])] as const)
  return { ...state, ...Object.fromEntries(times) }
}

/**
 * Finds batches whose last step was never checked: the success callback is owed, the batch hangs or is unfinished, or its success
 * fired too early. Pages run from young to old along (created_at DESC, id DESC). good_jobs is queried only for the few rows whose
 * times look unfinished.
 *
 * $1 created after · $2 page end created_at · $3 page end id · $4 quiet since · $5 ended since, or null
 */
const findSweepPage = (facts: Facts) => {
  const jobsFinished = facts.hasJobsFinishedAt ? 'batch.jobs_finished_at' : 'batch.finished_at'
  return `
WITH page AS MATERIALIZED (
  SELECT batch.*
  FROM good_job_batches AS batch
  WHERE batch.created_at > $1::${facts.timestampType}
    AND (batch.created_at, batch.id) < ($2::${facts.timestampType}, $3::uuid)
  ORDER BY batch.created_at DESC, batch.id DESC
  LIMIT 5000
),
last AS (
  SELECT created_at, id FROM page ORDER BY created_at ASC, id ASC LIMIT 1
),
suspect AS MATERIALIZED (
  SELECT batch.*
  FROM page AS batch
  WHERE (batch.discarded_at IS NOT NULL AND ${jobsFinished} IS NOT NULL)
    OR (batch.enqueued_at IS NOT NULL AND ${jobsFinished} IS NULL AND batch.updated_at < $4::${facts.timestampType})
    ${facts.hasJobsFinishedAt ? `OR (${jobsFinished} IS NOT NULL AND batch.finished_at IS NULL AND batch.updated_at < $4::${facts.timestampType})` : ''}
    OR (${jobsFinished} >= $5::${facts.timestampType} AND batch.on_success IS NOT NULL)
)
SELECT state.*, last.created_at AS page_created_at, last.id AS page_id,
  CASE WHEN state.jobs_ended_at IS NOT NULL AND (state.discarded_at IS NOT NULL OR state.broken_at IS NOT NULL)
    THEN ${successCallback({ batchId: 'state.id', jobsFinishedAt: 'state.jobs_ended_at', enqueuedAt: 'state.enqueued_at' })}
    ELSE false
  END AS has_false_success
FROM last
LEFT JOIN (
  SELECT ${stateColumns(facts)}, ${jobsFinished} AS jobs_ended_at, ${QUIET.replaceAll('$TYPE', facts.timestampType)} AS is_quiet
  FROM suspect AS batch
  ${BATCH_MEMBERS}
) AS state ON true`
}

// The bookkeeping of a member that ended a moment ago may still be outstanding.
const QUIET = `CASE WHEN member.is_open THEN false ELSE NOT EXISTS (
    SELECT 1 FROM good_jobs WHERE batch_id = batch.id AND finished_at >= $4::$TYPE
  ) END`

export type SweptBatch = LockedBatch & {
  readonly is_quiet: boolean
  /** The batch is discarded or has a broken member, but its success callback exists. */
  readonly has_false_success: boolean
}

export interface SweepPage {
  readonly batches: readonly SweptBatch[]
  /** Where the next page starts; undefined after the last one. */
  readonly next: { readonly createdAt: string; readonly id: string } | undefined
}

/** Returns one page of the sweep. */
export const findSuspectBatches = async (
  db: Queryable,
  facts: Facts,
  page: {
    readonly createdAfter: string
    readonly before: { createdAt: string; id: string }
    readonly quietSince: string
    readonly endedSince: string | null
  },
): Promise<SweepPage> => {
  type Row = SweptBatch & { readonly page_created_at: string; readonly page_id: string }
  const rows = await rowsOf<Row & Record<string, unknown>>(db, {
    text: findSweepPage(facts),
    values: [page.createdAfter, page.before.createdAt, page.before.id, page.quietSince, page.endedSince],
  })
  const end = rows[0]
  return {
    batches: rows.filter((row) => row.id !== null),
    next: end && { createdAt: end.page_created_at, id: end.page_id },
  }
}
