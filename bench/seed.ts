import type { Client } from 'pg'
import { installSchema } from './server.ts'

/** Which jobs wait in the table when a worker starts. */
export interface Waiting {
  readonly jobs: number
  /** @default 'bench' */
  readonly queue?: string
  /** @default 'NoopJob' */
  readonly jobClass?: string
  /** Milliseconds over which they fall due, from `dueFromMs` after now on. @default all are due */
  readonly dueOverMs?: number
  readonly dueFromMs?: number
  /** Size of their one argument, a string of digits. @default no argument */
  readonly argumentBytes?: number
  /** Age of the oldest, seconds. @default 3600 */
  readonly ageSeconds?: number
}

/**
 * As Rails 7.2 writes a job. $1 jobs · $2 queue · $3 class · $4 age, seconds · $5 bytes of the argument · $6 due from, seconds
 * after now, or null · $7 due over, seconds
 */
const WAITING = `
INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
SELECT id, id, $3, $2, 0,
  jsonb_build_object('job_class', $3::text, 'job_id', id, 'provider_job_id', NULL, 'queue_name', $2::text, 'priority', 0,
    'arguments', CASE WHEN $5::int = 0 THEN '[]'::jsonb ELSE jsonb_build_array(repeat('0123456789', $5::int / 10)) END,
    'executions', 0, 'exception_executions', '{}'::jsonb, 'locale', 'en', 'timezone', 'UTC',
    'enqueued_at', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US000"Z"'), 'scheduled_at', NULL),
  coalesce(due_at, at), at, at
FROM (
  SELECT gen_random_uuid() AS id,
    (now() AT TIME ZONE 'UTC') - make_interval(secs => $4::float8 * (1 - number::float8 / $1::int)) AS at,
    (now() AT TIME ZONE 'UTC') + make_interval(secs => $6::float8 + $7::float8 * number / $1::int) AS due_at
  FROM generate_series(0, $1::int - 1) AS number
) AS job`

/** $1 jobs · $2 seconds over which they ended · $3 age of the newest, seconds */
const FINISHED = `
WITH job AS (
  INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at,
    updated_at, performed_at, finished_at, executions_count)
  SELECT id, id, 'NoopJob', 'bench', 0,
    jsonb_build_object('job_class', 'NoopJob', 'job_id', id, 'provider_job_id', NULL, 'queue_name', 'bench', 'priority', 0,
      'arguments', '[]'::jsonb, 'executions', 0, 'exception_executions', '{}'::jsonb, 'locale', 'en', 'timezone', 'UTC',
      'enqueued_at', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US000"Z"'), 'scheduled_at', NULL),
    at, at, at, at, at, 1
  FROM (
    SELECT gen_random_uuid() AS id,
      (now() AT TIME ZONE 'UTC') - make_interval(secs => $3::float8 + $2::float8 * (1 - number::float8 / $1::int)) AS at
    FROM generate_series(0, $1::int - 1) AS number
  ) AS finished
  RETURNING id, serialized_params, created_at
)
INSERT INTO good_job_executions (created_at, updated_at, active_job_id, job_class, queue_name, serialized_params, scheduled_at,
  finished_at, process_id, duration)
SELECT created_at, created_at, id, 'NoopJob', 'bench', serialized_params, created_at, created_at, gen_random_uuid(), '0.001'
FROM job`

const PAGE = 100_000

/** Adds jobs that wait. */
export const addWaiting = async (client: Client, waiting: Waiting): Promise<void> => {
  const { jobs, queue = 'bench', jobClass = 'NoopJob', ageSeconds = 3_600, argumentBytes = 0 } = waiting
  const { dueFromMs = 0, dueOverMs } = waiting
  const due = dueOverMs === undefined ? [null, 0] : [dueFromMs / 1000, dueOverMs / 1000]
  await client.query(WAITING, [jobs, queue, jobClass, ageSeconds, argumentBytes, ...due])
}

/** Adds jobs that ended, with their executions, over the last day. */
export const addFinished = async (client: Client, jobs: number): Promise<void> => {
  for (let rest = jobs; rest > 0; rest -= PAGE)
    await client.query(FINISHED, [Math.min(rest, PAGE), 3_600, 7_200 + rest / 50])
}

/** Statistics and visibility as autovacuum leaves them. */
export const settle = async (client: Client): Promise<void> => {
  await client.query('VACUUM ANALYZE')
}

/** The tables with jobs that wait. */
export const goodJobsWaiting =
  (...waiting: readonly Waiting[]) =>
  async (client: Client): Promise<void> => {
    await installSchema(client)
    for (const each of waiting) await addWaiting(client, each)
    await settle(client)
  }
