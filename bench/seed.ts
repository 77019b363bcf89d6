import type { Client } from 'pg'
import { type ClassIndex, createClassIndex } from '../src/sql/schema/class-indexes.ts'
import { installSchema } from './server.ts'
import { sharedNow } from './workers/spec.ts'

/** Which jobs wait in the table when a worker starts. */
export interface Waiting {
  readonly jobs: number
  /** @default 'bench' */
  readonly queue?: string
  /** @default 'NoopJob' */
  readonly jobClass?: string
  /** Milliseconds within which they become due in any order, from `dueFromMs` after now on. @default all are due */
  readonly dueOverMs?: number
  readonly dueFromMs?: number
  /** Their one argument is the time at which they become due, on the clock that the processes of the bench share. @default false */
  readonly isTimed?: boolean
  /** Size of their one argument, a string of digits. @default no argument */
  readonly argumentBytes?: number
  /** Age of the oldest, seconds. @default 3600 */
  readonly ageSeconds?: number
  /** Random, as Rails makes them, or by the time of creation, as this package does. @default 'random' */
  readonly ids?: 'random' | 'by time'
  /** Each job has one of this number of concurrency keys. @default no key */
  readonly keys?: number
}

/**
 * As Rails 7.2 writes a job. $1 jobs · $2 queue · $3 class · $4 age, seconds · $5 bytes of the argument · $6 due from, seconds
 * after now, or null · $7 due over, seconds · $8 shared clock minus the epoch, milliseconds, or null · $9 whether ids begin with the
 * time of creation · $10 concurrency keys, or null
 */
const WAITING = `
INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, concurrency_key, serialized_params, scheduled_at, created_at,
  updated_at)
SELECT id, id, $3, $2, 0, 'bench-' || floor(random() * $10::int),
  jsonb_build_object('job_class', $3::text, 'job_id', id, 'provider_job_id', NULL, 'queue_name', $2::text, 'priority', 0,
    'arguments', CASE
      WHEN $8::float8 IS NOT NULL THEN jsonb_build_array($8::float8 + 1000 * extract(epoch FROM due_at)::float8)
      WHEN $5::int = 0 THEN '[]'::jsonb
      ELSE jsonb_build_array(repeat('0123456789', $5::int / 10)) END,
    'executions', 0, 'exception_executions', '{}'::jsonb, 'locale', 'en', 'timezone', 'UTC',
    'enqueued_at', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US000"Z"'), 'scheduled_at', NULL),
  coalesce(due_at, at), at, at
FROM (
  SELECT CASE WHEN $9::bool
      THEN (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(gen_random_uuid()::text, 16))::uuid
      ELSE gen_random_uuid() END AS id, at,
    (now() AT TIME ZONE 'UTC') + make_interval(secs => $6::float8 + $7::float8 * random()) AS due_at
  FROM generate_series(0, $1::int - 1) AS number,
    LATERAL (SELECT (now() AT TIME ZONE 'UTC') - make_interval(secs => $4::float8 * (1 - number::float8 / $1::int)) AS at) AS created
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

/** From this number of rows on it is faster to build the indexes at the end. */
const MANY = 100_000

/** Of GoodJob's large tables; the primary keys stay. */
const SELECT_INDEXES = `
SELECT format('DROP INDEX %s', indexrelid::regclass) AS statement
FROM pg_index
WHERE indrelid IN ('good_jobs'::regclass, 'good_job_executions'::regclass) AND NOT indisprimary`

/** GoodJob's tables as \`fill\` leaves them, which adds about \`rows\`, with statistics and visibility as autovacuum leaves them. */
export const fillTables = async (client: Client, rows: number, fill: () => Promise<void>): Promise<void> => {
  await installSchema(client)
  if (rows < MANY) await fill()
  else await fillWithoutIndexes(client, fill)
  await settle(client)
}

const fillWithoutIndexes = async (client: Client, fill: () => Promise<void>): Promise<void> => {
  const { rows: indexes } = await client.query<{ statement: string }>(SELECT_INDEXES)
  await client.query(indexes.map(({ statement }) => statement).join(';'))
  await fill()
  await client.query(`SET maintenance_work_mem = '1GB'`)
  // It creates what is missing.
  await installSchema(client)
}

/** Adds jobs that wait. */
export const addWaiting = async (client: Client, waiting: Waiting): Promise<void> => {
  const { jobs, queue = 'bench', jobClass = 'NoopJob', ageSeconds = 3_600, argumentBytes = 0 } = waiting
  const { dueFromMs = 0, dueOverMs, isTimed = false, ids = 'random', keys = null } = waiting
  const due = dueOverMs === undefined ? [null, 0] : [dueFromMs / 1000, dueOverMs / 1000]
  await client.query(WAITING, [
    jobs,
    queue,
    jobClass,
    ageSeconds,
    argumentBytes,
    ...due,
    isTimed ? sharedNow() - Date.now() : null,
    ids === 'by time',
    keys,
  ])
}

/** Seconds of history in one page. */
const PAGE_S = 2_000
/** Seconds since the newest of them ended. */
const FINISHED_BEFORE_S = 7_200

/** Adds jobs that ended, with their executions, over the last days. */
export const addFinished = async (client: Client, jobs: number): Promise<void> => {
  for (let rest = jobs; rest > 0; rest -= PAGE)
    await client.query(FINISHED, [Math.min(rest, PAGE), PAGE_S, FINISHED_BEFORE_S + (PAGE_S * rest) / PAGE])
}

/** The jobs that `addWaiting` added for a measurement, finished or not; jobs that had finished before are older. */
const DELETE_OURS = `
WITH ours AS (
  DELETE FROM good_jobs
  WHERE job_class = 'NoopJob' AND queue_name = 'bench'
    AND (finished_at IS NULL OR finished_at > (now() AT TIME ZONE 'UTC') - interval '${FINISHED_BEFORE_S} seconds')
  RETURNING id
)
DELETE FROM good_job_executions USING ours WHERE active_job_id = ours.id`

/** Deletes the jobs of a measurement. */
export const deleteOurs = async (client: Client): Promise<void> => {
  await client.query(DELETE_OURS)
}

/** Built without `CONCURRENTLY`, which cannot run in a script of several statements: no other session uses the tables. */
export const createClassIndexAtOnce = (index: ClassIndex): string =>
  createClassIndex(index).replace('CONCURRENTLY ', '')

/** Statistics and visibility as autovacuum leaves them. */
export const settle = async (client: Client): Promise<void> => {
  await client.query('VACUUM ANALYZE')
}

/** The tables with jobs that wait. */
export const goodJobsWaiting =
  (...waiting: readonly Waiting[]) =>
  async (client: Client): Promise<void> => {
    const rows = waiting.reduce((total, { jobs }) => total + jobs, 0)
    await fillTables(client, rows, async () => {
      for (const each of waiting) await addWaiting(client, each)
    })
  }
