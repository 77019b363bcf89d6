/**
 * The statements of the floor: what GoodJob's full work costs when nothing is around it. Written for speed alone; anyone who knows
 * a faster way to the same rows should write it here, since the worker is measured against this.
 */
export interface FloorShape {
  /** Jobs that one claim takes. */
  readonly batch: number
  /** Only this queue. @default every queue */
  readonly queue?: string
  /** Delete finished jobs instead of keeping them and their attempts. */
  readonly isDeleting: boolean
}

const KEY = `('x' || substr(md5('good_jobs-' || id::text), 1, 16))::bit(64)::bigint`
const NOW = `(clock_timestamp() AT TIME ZONE 'UTC')`

/** A queue as a range, and first in the order, lets the index on (queue_name, priority, created_at) be walked in order. */
const candidates = ({ batch, queue }: FloorShape, columns = 'id'): string => `
  SELECT ${columns}
  FROM good_jobs
  WHERE finished_at IS NULL AND locked_by_id IS NULL AND scheduled_at <= ${NOW} AND job_class = ANY (ARRAY['NoopJob'])
    ${queue === undefined ? '' : `AND queue_name >= '${queue}' AND queue_name <= '${queue}'`}
  ORDER BY ${queue === undefined ? '' : 'queue_name, '}priority, created_at
  LIMIT ${batch}
  FOR NO KEY UPDATE SKIP LOCKED`

/** Classic: the start of an attempt is a row version of its own. $1 keys to unlock bigint[] · $2 process uuid */
export const claim = (shape: FloorShape): string => `
WITH released AS MATERIALIZED (SELECT count(pg_advisory_unlock(key)) FROM unnest($1::bigint[]) AS key),
candidate AS MATERIALIZED (${candidates(shape)}),
locked AS MATERIALIZED (
  SELECT id, ${KEY} AS key, gen_random_uuid() AS execution_id FROM candidate WHERE pg_try_advisory_lock(${KEY})
),
started AS (
  UPDATE good_jobs
  SET locked_by_id = $2::uuid, locked_at = ${NOW}, lock_type = 2, performed_at = ${NOW}, updated_at = ${NOW},
    executions_count = coalesce(executions_count, 0) + 1
  FROM locked
  WHERE good_jobs.id = locked.id
  RETURNING good_jobs.id, job_class, queue_name, serialized_params, scheduled_at, locked_at, key, execution_id
),
execution AS (
  INSERT INTO good_job_executions
    (id, created_at, updated_at, active_job_id, job_class, queue_name, serialized_params, scheduled_at, process_id)
  SELECT execution_id, locked_at, locked_at, id, job_class, queue_name, serialized_params, scheduled_at, $2::uuid FROM started
)
SELECT id, key::text, serialized_params::text, locked_at::text, execution_id FROM released LEFT JOIN started ON true`

/** $1 id uuid[] · $2 locked_at timestamp[] · $3 execution id uuid[] · $4 process uuid */
export const finish = `
WITH outcome AS MATERIALIZED (
  SELECT * FROM unnest($1::uuid[], $2::timestamp[], $3::uuid[]) AS outcome(id, locked_at, execution_id)
),
finished AS (
  UPDATE good_jobs
  SET finished_at = ${NOW}, updated_at = ${NOW}, locked_by_id = NULL, locked_at = NULL, lock_type = NULL, error = NULL
  FROM outcome
  WHERE good_jobs.id = outcome.id AND locked_by_id = $4::uuid AND good_jobs.locked_at = outcome.locked_at AND finished_at IS NULL
  RETURNING good_jobs.id, execution_id, finished_at
)
UPDATE good_job_executions
SET finished_at = finished.finished_at, updated_at = finished.finished_at, duration = finished.finished_at - created_at
FROM finished
WHERE good_job_executions.id = finished.execution_id`

/** As `finish`, without history. */
export const finishDeleting = `
WITH outcome AS MATERIALIZED (
  SELECT * FROM unnest($1::uuid[], $2::timestamp[], $3::uuid[]) AS outcome(id, locked_at, execution_id)
),
deleted AS (
  DELETE FROM good_jobs USING outcome
  WHERE good_jobs.id = outcome.id AND locked_by_id = $4::uuid AND good_jobs.locked_at = outcome.locked_at AND finished_at IS NULL
  RETURNING execution_id
)
DELETE FROM good_job_executions USING deleted WHERE good_job_executions.id = deleted.execution_id`

/** Deferred start: row locks in an open transaction, and advisory locks. $1 keys to unlock bigint[] */
export const reserve = (shape: FloorShape): string => `
WITH released AS MATERIALIZED (SELECT count(pg_advisory_unlock(key)) FROM unnest($1::bigint[]) AS key),
candidate AS MATERIALIZED (${candidates(shape, `id, serialized_params, ${NOW} AS now`)})
SELECT candidate.id, ${KEY}::text AS key, serialized_params::text, now::text AS locked_at
FROM released LEFT JOIN candidate ON pg_try_advisory_lock(${KEY})`

/** Outcome and attempt in one write. $1 id uuid[] · $2 started at timestamp[] · $3 process uuid */
export const settle = `
WITH outcome AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::timestamp[]) AS outcome(id, started_at)),
finished AS (
  UPDATE good_jobs
  SET performed_at = started_at, finished_at = ${NOW}, updated_at = ${NOW}, executions_count = coalesce(executions_count, 0) + 1,
    error = NULL
  FROM outcome
  WHERE good_jobs.id = outcome.id AND finished_at IS NULL
  RETURNING good_jobs.id, job_class, queue_name, serialized_params, scheduled_at, performed_at, finished_at
)
INSERT INTO good_job_executions
  (created_at, updated_at, active_job_id, job_class, queue_name, serialized_params, scheduled_at, process_id, finished_at, duration)
SELECT performed_at, finished_at, id, job_class, queue_name, serialized_params, scheduled_at, $3::uuid, finished_at,
  finished_at - performed_at
FROM finished`

/** $1 id uuid[] · $2 started at, not used · $3 process, not used */
export const settleDeleting = `
DELETE FROM good_jobs
WHERE id = ANY ($1::uuid[]) AND finished_at IS NULL AND $2::timestamp[] IS NOT NULL AND $3::uuid IS NOT NULL`

/** $1 keys bigint[] */
export const unlock = 'SELECT count(pg_advisory_unlock(key)) FROM unnest($1::bigint[]) AS key'

/**
 * A statement prepared while a table is small would scan it for the rest of the session, and hundreds of rows to find by key tempt
 * the planner to read a whole index for a hash join.
 */
export const SESSION = `
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; SET TimeZone = 'UTC'`

/** An insert as cheap as it can be with the message that wakes workers. $1 id · $2 params · $3 message */
export const insert = `
WITH inserted AS (
  INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
  VALUES ($1::uuid, $1::uuid, 'NoopJob', 'bench', 0, $2::jsonb, ${NOW}, ${NOW}, ${NOW})
)
SELECT pg_notify('good_job', $3)`

/** $1 id uuid[] · $2 params text[] · $3 message */
export const insertMany = `
WITH inserted AS (
  INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
  SELECT id, id, 'NoopJob', 'bench', 0, params::jsonb, ${NOW}, ${NOW}, ${NOW}
  FROM unnest($1::uuid[], $2::text[]) AS job(id, params)
)
SELECT pg_notify('good_job', $3)`
