import { countOf, type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { plainArray, preparedUnlessPooled, textArray } from '../text.ts'

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

export type BatchToSave = BatchAttributes & {
  readonly id: string
  readonly now: string
  /** A time arms the batch and clears the times of its end; null leaves them unchanged. */
  readonly enqueued_at: string | null
}

/** One JSON array of rows keeps the statement the same for one batch and for ten thousand. */
const batchesOf = ({ timestampType }: Facts) =>
  `json_to_recordset($1::text::json) AS batch(id uuid, now ${timestampType}, description text, serialized_properties text, on_finish text,
  on_success text, on_discard text, callback_queue_name text, callback_priority int, enqueued_at ${timestampType})`

const ATTRIBUTES =
  'description, serialized_properties, on_finish, on_success, on_discard, callback_queue_name, callback_priority'

/** A broken member keeps the batch discarded. */
const armed = ({ hasJobsFinishedAt }: Facts, enqueuedAt: string) =>
  [
    `enqueued_at = coalesce(${enqueuedAt}, good_job_batches.enqueued_at)`,
    ...['finished_at', ...(hasJobsFinishedAt ? ['jobs_finished_at'] : [])].map(
      (column) => `${column} = CASE WHEN ${enqueuedAt} IS NULL THEN good_job_batches.${column} END`,
    ),
  ].join(', ')

/** $1 rows json */
const insertBatchesText = (facts: Facts) => `
INSERT INTO good_job_batches (id, created_at, updated_at, ${ATTRIBUTES}, enqueued_at)
SELECT id, now, now, ${ATTRIBUTES.replace('serialized_properties', 'serialized_properties::jsonb')}, enqueued_at
FROM ${batchesOf(facts)}
ON CONFLICT (id) DO UPDATE
SET updated_at = excluded.updated_at,
  ${ATTRIBUTES.replace(/\w+/g, '$& = excluded.$&')},
  ${armed(facts, 'excluded.enqueued_at')}
RETURNING id::text, (xmax = 0) AS is_new`

/** $1 rows json */
const updateBatchesText = (facts: Facts) => `
UPDATE good_job_batches
SET updated_at = batch.now,
  ${ATTRIBUTES.replace(/\w+/g, '$& = batch.$&').replace('batch.serialized_properties', 'batch.serialized_properties::jsonb')},
  ${armed(facts, 'batch.enqueued_at')}
FROM ${batchesOf(facts)}
WHERE good_job_batches.id = batch.id
RETURNING good_job_batches.id::text, false AS is_new`

/** For each saved batch, by id: true if it had no row before. */
export type SavedBatches = ReadonlyMap<string, boolean>

const saved = async (db: Queryable, text: string, batches: readonly BatchToSave[]): Promise<SavedBatches> => {
  if (batches.length === 0) return new Map()
  const rows = await rowsOf<{ id: string; is_new: boolean }>(db, { text, values: [JSON.stringify(batches)] })
  return new Map(rows.map(({ id, is_new }) => [id, is_new]))
}

/** Saves batches that may have a row already. If their COMMIT was not acknowledged, or was the caller's, only the row shows it. */
export const insertBatches = (db: Queryable, facts: Facts, batches: readonly BatchToSave[]): Promise<SavedBatches> =>
  saved(db, insertBatchesText(facts), batches)

/** Updates batches that have rows; returns the ids of those whose row exists. Call it under their locks. */
export const updateBatches = (db: Queryable, facts: Facts, batches: readonly BatchToSave[]): Promise<SavedBatches> =>
  saved(db, updateBatchesText(facts), batches)

/** Returns the rows of these batches, in no order; missing batches are left out. */
export const findBatches = (db: Queryable, facts: Facts, ids: readonly string[]): Promise<BatchRow[]> =>
  rowsOf<BatchRow & Record<string, unknown>>(
    db,
    preparedUnlessPooled(facts, 'find_batches', findBatchesText(facts), [ids]),
  )

/** $1 ids uuid[] */
const findBatchesText = (facts: Facts) => `SELECT ${columns(facts)} FROM good_job_batches WHERE id = ANY ($1::uuid[])`

/** Returns the ids of those of these batches that have rows. */
export const findBatchIds = (db: Queryable, ids: readonly string[]): Promise<{ id: string }[]> =>
  rowsOf(db, {
    text: 'SELECT id::text FROM good_job_batches WHERE id = ANY ($1::uuid[])',
    values: [plainArray(ids)],
  })

/** $1 advisory keys bigint[]; the sub-select sorts, so that two processes take several locks in the same order. */
const LOCK_BATCHES = `
SELECT pg_advisory_xact_lock(key)::text AS locked FROM (SELECT key FROM unnest($1::bigint[]) AS key ORDER BY key) AS sorted`

/** Takes GoodJob's batch locks until the end of the transaction; waits for their holders. */
export const lockBatches = async (db: Queryable, keys: readonly string[]): Promise<void> => {
  await rowsOf(db, { text: LOCK_BATCHES, values: [plainArray(keys)] })
}

/** $1 advisory key bigint · $2 milliseconds; a stricter limit that a DBA has set stays */
const TRY_LOCK_BATCH = `
SELECT pg_try_advisory_xact_lock($1::bigint) AS is_locked, set_config('lock_timeout', '1s', true),
  set_config('statement_timeout', least($2::bigint, nullif(setting::bigint, 0))::text, true)
FROM pg_settings WHERE name = 'statement_timeout'`

/**
 * Takes GoodJob's lock of a batch until the end of the transaction, unless another session holds it. From then on the transaction
 * waits at most one second for any other lock, and each of its statements may take at most `statementTimeoutMs`.
 */
export const tryLockBatch = async (db: Queryable, key: string, statementTimeoutMs: number): Promise<boolean> => {
  const rows = await rowsOf<{ is_locked: boolean }>(db, { text: TRY_LOCK_BATCH, values: [key, statementTimeoutMs] })
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
SET updated_at = $1::${timestampType}, enqueued_at = times.enqueued_at, discarded_at = times.discarded_at, finished_at = times.finished_at
  ${hasJobsFinishedAt ? ', jobs_finished_at = times.jobs_finished_at' : ''}
FROM unnest($2::uuid[], $3::${timestampType}[], $4::${timestampType}[], $5::${timestampType}[]
    ${hasJobsFinishedAt ? `, $6::${timestampType}[]` : ''})
  AS times(id, enqueued_at, discarded_at, finished_at ${hasJobsFinishedAt ? ', jobs_finished_at' : ''})
WHERE good_job_batches.id = times.id`

/** Writes the times of these batches. Call it under their locks. */
export const writeBatchTimes = async (
  db: Queryable,
  facts: Facts,
  batches: readonly BatchTimes[],
  now: string,
): Promise<void> => {
  if (batches.length === 0) return
  const values: unknown[] = [
    now,
    plainArray(batches.map(({ id }) => id)),
    textArray(batches.map((batch) => batch.enqueued_at)),
    textArray(batches.map((batch) => batch.discarded_at)),
    textArray(batches.map((batch) => batch.finished_at)),
  ]
  if (facts.hasJobsFinishedAt) values.push(textArray(batches.map((batch) => batch.jobs_finished_at)))
  await countOf(db, preparedUnlessPooled(facts, 'write_batch_times', writeBatchTimesText(facts), values))
}

/** $1 job ids uuid[] · $2 batch ids uuid[] · $3 now timestamp */
const joinBatchesText = ({ timestampType }: Facts) => `
WITH member AS MATERIALIZED (
  SELECT id, batch_id FROM unnest($1::uuid[], $2::uuid[]) AS member(id, batch_id)
),
joined AS (
  UPDATE good_jobs SET batch_id = member.batch_id, updated_at = $3::${timestampType}
  FROM member
  WHERE good_jobs.id = member.id AND good_jobs.batch_id IS DISTINCT FROM member.batch_id
  RETURNING good_jobs.id
)
SELECT id::text FROM joined
UNION
SELECT good_jobs.id::text FROM good_jobs JOIN member ON good_jobs.id = member.id WHERE good_jobs.batch_id = member.batch_id`

/** Makes existing jobs members of batches; returns the ids of the jobs whose rows exist. */
export const joinBatches = async (
  db: Queryable,
  facts: Facts,
  members: readonly { readonly jobId: string; readonly batchId: string }[],
  now: string,
): Promise<ReadonlySet<string>> => {
  if (members.length === 0) return new Set()
  const rows = await rowsOf<{ id: string }>(db, {
    text: joinBatchesText(facts),
    values: [plainArray(members.map(({ jobId }) => jobId)), plainArray(members.map(({ batchId }) => batchId)), now],
  })
  return new Set(rows.map(({ id }) => id))
}
