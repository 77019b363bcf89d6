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
  /** Age of the oldest, seconds. @default 3600 */
  readonly ageSeconds?: number
}

/** As Rails 7.2 writes a job without arguments. $1 jobs · $2 queue · $3 class · $4 age, seconds */
const WAITING = `
INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
SELECT id, id, $3, $2, 0,
  jsonb_build_object('job_class', $3::text, 'job_id', id, 'provider_job_id', NULL, 'queue_name', $2::text, 'priority', 0,
    'arguments', '[]'::jsonb, 'executions', 0, 'exception_executions', '{}'::jsonb, 'locale', 'en', 'timezone', 'UTC',
    'enqueued_at', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.US000"Z"'), 'scheduled_at', NULL),
  at, at, at
FROM (
  SELECT gen_random_uuid() AS id,
    (now() AT TIME ZONE 'UTC') - make_interval(secs => $4::float8 * (1 - number::float8 / $1::int)) AS at
  FROM generate_series(0, $1::int - 1) AS number
) AS job`

/** Adds jobs that wait. */
const addWaiting = async (client: Client, waiting: Waiting): Promise<void> => {
  const { jobs, queue = 'bench', jobClass = 'NoopJob', ageSeconds = 3_600 } = waiting
  await client.query(WAITING, [jobs, queue, jobClass, ageSeconds])
}

/** Statistics and visibility as autovacuum leaves them. */
const settle = async (client: Client): Promise<void> => {
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
