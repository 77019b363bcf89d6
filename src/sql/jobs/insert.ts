import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { messageOf, startText } from '../notify.ts'
import { plainArray, preparedUnlessPooled, sinceStatementBegan, textArray } from '../text.ts'

/** A row of good_jobs to insert; every time is ISO text in UTC. */
export interface NewJobRow {
  readonly id: string
  readonly job_class: string
  readonly queue_name: string
  readonly priority: number
  readonly serialized_params: string
  readonly scheduled_at: string
  readonly created_at: string
  readonly labels: readonly string[] | null
  readonly concurrency_key?: string | null
  readonly cron_key?: string | null
  readonly cron_at?: string | null
  readonly batch_id?: string | null
  readonly batch_callback_id?: string | null
  /** Whether waiting workers are notified. */
  readonly is_notified: boolean
}

/**
 * Inserts jobs and notifies the workers, in one statement.
 *
 * GoodJob sends one notification for a single job, and one with `count` for each (queue, time) of a bulk; the time is truncated to
 * milliseconds. A row whose id (or cron key and time) exists is left out and not reported. The ids are returned as one text:
 * reading a thousand rows takes pg longer than writing their jobs. The hashes are one JSON array. In a text[] each of their quotes
 * would be escaped here and unescaped by the server, a few percent of the whole time; jsonb is limited to 256 MB.
 *
 * $1 id uuid[] · $2 job_class text[] · $3 queue_name text[] · $4 priority int[] · $5 serialized_params, an array, json ·
 * $6 scheduled_at timestamp[] · $7 created_at timestamp[] · $8 labels, each a JSON array, text[] · $9 concurrency_key text[] ·
 * $10 cron_key text[] · $11 cron_at timestamp[] · $12 batch_id uuid[] · $13 batch_callback_id uuid[] · $14 is_notified bool[] ·
 * $15 is_bulk bool
 */
const insertJobsText = (facts: Facts) => {
  const { timestampType } = facts
  return `
WITH job AS MATERIALIZED (
  SELECT *
  FROM ROWS FROM (
    unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $6::${timestampType}[], $7::${timestampType}[], $8::text[], $9::text[],
      $10::text[], $11::${timestampType}[], $12::uuid[], $13::uuid[], $14::bool[]),
    json_array_elements($5::text::json)
  ) AS job(id, job_class, queue_name, priority, scheduled_at, created_at, labels, concurrency_key, cron_key, cron_at, batch_id,
    batch_callback_id, is_notified, serialized_params)
),
inserted AS (
  INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at,
    labels, concurrency_key, cron_key, cron_at, batch_id, batch_callback_id)
  SELECT id, id, job_class, queue_name, priority, serialized_params::jsonb, scheduled_at, created_at,
    CASE WHEN $15::bool THEN created_at ELSE ${sinceStatementBegan('created_at')} END,
    CASE WHEN labels IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(labels::jsonb)) END,
    concurrency_key, cron_key, cron_at, batch_id, batch_callback_id
  FROM job
  ON CONFLICT DO NOTHING
  RETURNING id, queue_name, scheduled_at
),
message AS (
  SELECT inserted.queue_name, count(DISTINCT inserted.id) AS jobs,
    ${startText(facts, 'inserted.scheduled_at')} AS starts_at
  FROM inserted
  JOIN job ON job.id = inserted.id
  WHERE is_notified
  GROUP BY inserted.queue_name, starts_at
),
notified AS MATERIALIZED (
  SELECT pg_notify('good_job', CASE WHEN $15::bool
    THEN json_build_object('queue_name', queue_name, 'count', jobs, 'scheduled_at', starts_at)
    ELSE json_build_object('queue_name', queue_name, 'scheduled_at', starts_at) END::text)
  FROM message
)
SELECT string_agg(id::text, ',') AS ids, (SELECT count(*) FROM notified)::int AS messages, ${THIS_TRANSACTION} AS transaction FROM inserted`
}

/**
 * $1 id · $2 job_class · $3 queue_name · $4 priority · $5 serialized_params · $6 scheduled_at · $7 created_at · $8 labels ·
 * $9 concurrency_key · $10 cron_key · $11 cron_at · $12 batch_id · $13 batch_callback_id · $14 message
 */
const insertJobText = (facts: Facts, isNotified: boolean) => {
  const { timestampType } = facts
  const insert = `
INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at,
  labels, concurrency_key, cron_key, cron_at, batch_id, batch_callback_id)
VALUES ($1::uuid, $1::uuid, $2::text, $3::text, $4::int, $5::text::jsonb, $6::${timestampType}, $7::${timestampType},
  ${sinceStatementBegan(`$7::${timestampType}`)}, $8::text[], $9::text, $10::text, $11::${timestampType}, $12::uuid, $13::uuid)
ON CONFLICT DO NOTHING
RETURNING ${THIS_TRANSACTION} AS transaction`
  // Some clients cannot read a column of type void.
  return isNotified
    ? `WITH inserted AS (${insert})\nSELECT transaction, pg_notify('good_job', $14::text)::text AS message FROM inserted`
    : insert
}

/** Names the transaction of the statement. A caller that does not see it end can query how it ended (sql/transaction/ends.ts). */
const THIS_TRANSACTION = 'pg_current_xact_id()::text'

/**
 * Inserts one job and notifies the workers, in half the time of a bulk of one. Returns the transaction that inserted the job;
 * undefined if none was inserted.
 */
export const insertJob = async (db: Queryable, facts: Facts, job: NewJobRow): Promise<string | undefined> => {
  const values = [
    job.id,
    job.job_class,
    job.queue_name,
    job.priority,
    job.serialized_params,
    job.scheduled_at,
    job.created_at,
    job.labels && textArray(job.labels),
    job.concurrency_key ?? null,
    job.cron_key ?? null,
    job.cron_at ?? null,
    job.batch_id ?? null,
    job.batch_callback_id ?? null,
  ]
  if (job.is_notified) {
    values.push(messageOf(job))
  }
  const text = insertJobText(facts, job.is_notified)
  const [row] = await rowsOf<{ transaction: string }>(db, preparedUnlessPooled(facts, 'insert_job', text, values))
  return row?.transaction
}

/** The result of one bulk insert. */
export interface InsertedJobs {
  readonly ids: ReadonlySet<string>
  /** The transaction that inserted them; undefined when none was inserted. */
  readonly transaction: string | undefined
}

/** Inserts jobs; returns what was inserted. A transaction of the caller sends the notifications at its commit. */
export const insertJobs = async (
  db: Queryable,
  facts: Facts,
  jobs: readonly NewJobRow[],
  options: { readonly isBulk: boolean },
): Promise<InsertedJobs> => {
  if (jobs.length === 0) return { ids: new Set(), transaction: undefined }
  const texts = (pick: (job: NewJobRow) => string | null | undefined): string =>
    textArray(jobs.map((job) => pick(job) ?? null))
  const values = [
    texts((job) => job.id),
    texts((job) => job.job_class),
    texts((job) => job.queue_name),
    plainArray(jobs.map((job) => job.priority)),
    `[${jobs.map((job) => job.serialized_params).join(',')}]`,
    plainArray(jobs.map((job) => job.scheduled_at)),
    plainArray(jobs.map((job) => job.created_at)),
    texts((job) => job.labels && JSON.stringify(job.labels)),
    texts((job) => job.concurrency_key),
    texts((job) => job.cron_key),
    texts((job) => job.cron_at),
    texts((job) => job.batch_id),
    texts((job) => job.batch_callback_id),
    plainArray(jobs.map((job) => String(job.is_notified))),
    options.isBulk,
  ]
  const statement = preparedUnlessPooled(facts, 'insert_jobs', insertJobsText(facts), values)
  const [row] = await rowsOf<{ ids: string | null; transaction: string }>(db, statement)
  if (row?.ids == null) return { ids: new Set(), transaction: undefined }
  return { ids: new Set(row.ids.split(',')), transaction: row.transaction }
}
