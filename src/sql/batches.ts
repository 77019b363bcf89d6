import { type Facts, preparedName } from './database.ts'
import { countOf, type Queryable, rowsOf } from './types.ts'

/** A row of good_job_batches; times are ISO text. `jobs_finished_at` is null where the column does not exist. */
export interface BatchRow {
  readonly id: string
  readonly created_at: string
  readonly updated_at: string
  readonly description: string | null
  readonly serialized_properties: string | null
  readonly on_finish: string | null
  readonly on_success: string | null
  readonly on_discard: string | null
  readonly callback_queue_name: string | null
  readonly callback_priority: number | null
  readonly enqueued_at: string | null
  readonly discarded_at: string | null
  readonly finished_at: string | null
  readonly jobs_finished_at: string | null
}

const columns = ({ hasJobsFinishedAt }: Facts) =>
  `id, created_at, updated_at, description, serialized_properties, on_finish, on_success, on_discard, callback_queue_name,
  callback_priority, enqueued_at, discarded_at, finished_at, ${hasJobsFinishedAt ? 'jobs_finished_at' : 'NULL::timestamp AS jobs_finished_at'}`

/** The columns that a user sets. */
export type BatchAttributes = Pick<
  BatchRow,
  | 'description'
  | 'serialized_properties'
  | 'on_finish'
  | 'on_success'
  | 'on_discard'
  | 'callback_queue_name'
  | 'callback_priority'
>

const attributeValues = (batch: BatchAttributes) => [
  batch.description,
  batch.serialized_properties,
  batch.on_finish,
  batch.on_success,
  batch.on_discard,
  batch.callback_queue_name,
  batch.callback_priority,
]

export type NewBatchRow = BatchAttributes & {
  readonly id: string
  readonly now: string
  readonly enqueued_at: string | null
}

/** One JSON array of rows keeps the statement the same for one batch and for ten thousand. $1 rows json */
const INSERT_BATCHES = `
INSERT INTO good_job_batches (id, created_at, updated_at, description, serialized_properties, on_finish, on_success, on_discard,
  callback_queue_name, callback_priority, enqueued_at)
SELECT id, now, now, description, serialized_properties::jsonb, on_finish, on_success, on_discard, callback_queue_name,
  callback_priority, enqueued_at
FROM json_to_recordset($1::json) AS batch(id uuid, now timestamp, description text, serialized_properties text, on_finish text,
  on_success text, on_discard text, callback_queue_name text, callback_priority int, enqueued_at timestamp)`

export const insertBatches = async (db: Queryable, facts: Facts, batches: readonly NewBatchRow[]): Promise<void> => {
  if (batches.length === 0) return
  const text =
    facts.timestampType === 'timestamp' ? INSERT_BATCHES : INSERT_BATCHES.replaceAll(' timestamp', ' timestamptz')
  await countOf(db, { text, values: [JSON.stringify(batches)] })
}

/** $1 id · $2 now · $3 description · $4 properties · $5–$7 callbacks · $8 queue · $9 priority */
const UPDATE_BATCH = `
UPDATE good_job_batches
SET updated_at = $2, description = $3, serialized_properties = $4::jsonb, on_finish = $5, on_success = $6, on_discard = $7,
  callback_queue_name = $8, callback_priority = $9
WHERE id = $1`

/** Saves what a user set; false when the row is gone. */
export const updateBatch = async (
  db: Queryable,
  batch: BatchAttributes & { readonly id: string; readonly now: string },
): Promise<boolean> =>
  (await countOf(db, { text: UPDATE_BATCH, values: [batch.id, batch.now, ...attributeValues(batch)] })) === 1

/** The rows of these batches, in no order; those that are gone are left out. */
export const findBatches = (db: Queryable, facts: Facts, ids: readonly string[]): Promise<BatchRow[]> =>
  rowsOf<BatchRow & Record<string, unknown>>(db, {
    ...preparedName(facts, `find_batches_${facts.hasJobsFinishedAt}`),
    text: `SELECT ${columns(facts)} FROM good_job_batches WHERE id = ANY ($1::uuid[])`,
    values: [ids],
  })

/** $1 advisory keys bigint[]; the sub-select sorts, so that two processes take several locks in the same order. */
const LOCK_BATCHES = `
SELECT pg_advisory_xact_lock(key) FROM (SELECT key FROM unnest($1::bigint[]) AS key ORDER BY key) AS sorted`

/** Takes GoodJob's batch locks until the end of the transaction, waiting for who holds them. */
export const lockBatches = async (db: Queryable, keys: readonly string[]): Promise<void> => {
  await rowsOf(db, { text: LOCK_BATCHES, values: [keys] })
}

/** $1 advisory key bigint */
const TRY_LOCK_BATCH = `SELECT pg_try_advisory_xact_lock($1::bigint) AS is_locked, set_config('lock_timeout', '1s', true)`

/**
 * Takes GoodJob's lock of a batch until the end of the transaction, unless somebody holds it. Nothing in that transaction waits for
 * any other lock longer than a second.
 */
export const tryLockBatch = async (db: Queryable, key: string): Promise<boolean> => {
  const rows = await rowsOf<{ is_locked: boolean }>(db, { text: TRY_LOCK_BATCH, values: [key] })
  return rows[0]?.is_locked ?? false
}

/** The times of a batch after a step; all of them are written. */
export interface BatchTimes {
  readonly id: string
  readonly enqueued_at: string | null
  readonly discarded_at: string | null
  readonly jobs_finished_at: string | null
  readonly finished_at: string | null
}

/** $1 now · $2 id uuid[] · $3 enqueued_at · $4 discarded_at · $5 finished_at · $6 jobs_finished_at, each timestamp[] */
const writeBatchTimesText = ({ timestampType, hasJobsFinishedAt }: Facts) => `
UPDATE good_job_batches
SET updated_at = $1, enqueued_at = times.enqueued_at, discarded_at = times.discarded_at, finished_at = times.finished_at
  ${hasJobsFinishedAt ? ', jobs_finished_at = times.jobs_finished_at' : ''}
FROM unnest($2::uuid[], $3::${timestampType}[], $4::${timestampType}[], $5::${timestampType}[]
    ${hasJobsFinishedAt ? `, $6::${timestampType}[]` : ''})
  AS times(id, enqueued_at, discarded_at, finished_at ${hasJobsFinishedAt ? ', jobs_finished_at' : ''})
WHERE good_job_batches.id = times.id`

/** Writes the times of these batches; to be called under their locks. */
export const writeBatchTimes = async (
  db: Queryable,
  facts: Facts,
  batches: readonly BatchTimes[],
  now: string,
): Promise<void> => {
  if (batches.length === 0) return
  const values: unknown[] = [
    now,
    batches.map(({ id }) => id),
    batches.map((batch) => batch.enqueued_at),
    batches.map((batch) => batch.discarded_at),
    batches.map((batch) => batch.finished_at),
  ]
  if (facts.hasJobsFinishedAt) values.push(batches.map((batch) => batch.jobs_finished_at))
  await countOf(db, {
    ...preparedName(facts, `write_batch_times_${facts.hasJobsFinishedAt}`),
    text: writeBatchTimesText(facts),
    values,
  })
}

/** $1 job ids uuid[] · $2 batch uuid · $3 now */
const ADD_JOBS_TO_BATCH = `
UPDATE good_jobs SET batch_id = $2, updated_at = $3 WHERE id = ANY ($1::uuid[]) AND batch_id IS DISTINCT FROM $2::uuid`

/** Makes jobs that are already enqueued members. */
export const addJobsToBatch = (
  db: Queryable,
  jobIds: readonly string[],
  batchId: string,
  now: string,
): Promise<number> => countOf(db, { text: ADD_JOBS_TO_BATCH, values: [jobIds, batchId, now] })
