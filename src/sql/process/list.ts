import { type Queryable, rowsOf } from '../connection/queryable.ts'
import { type Facts, serverNow } from '../database.ts'
import { inactive } from './dead.ts'

/** A worker process of either language; `state` is the text of the column. */
export interface ListedProcess {
  readonly id: string
  readonly created_at: string
  readonly updated_at: string
  readonly state: string
  readonly is_alive: boolean
  /** It has not refreshed its row for two minutes, and holds no advisory lock that shows that it is alive. */
  readonly is_silent: boolean
  /** Unfinished jobs that carry its id. */
  readonly running_jobs: number
}

const processesText = (facts: Facts): string => `
SELECT id, created_at, updated_at, (${inactive(facts)}) IS NOT TRUE AS is_alive,
  lock_type IS DISTINCT FROM 0 AND updated_at < ${serverNow(facts)} - interval '2 minutes' AS is_silent,
  coalesce(state, '{}'::jsonb)::text AS state,
  (SELECT count(*)::int FROM good_jobs WHERE locked_by_id = good_job_processes.id AND finished_at IS NULL) AS running_jobs
FROM good_job_processes`

/** $1 limit */
const listProcessesText = (facts: Facts): string => `${processesText(facts)}
ORDER BY updated_at DESC
LIMIT $1`

/** Returns the processes that refreshed their rows last. */
export const listProcesses = (db: Queryable, facts: Facts, limit: number): Promise<ListedProcess[]> =>
  rowsOf<ListedProcess & Record<string, unknown>>(db, { text: listProcessesText(facts), values: [limit] })

/** $1 process uuid */
const findProcessText = (facts: Facts): string => `${processesText(facts)}
WHERE id = $1`

/** One process, or undefined without a row. */
export const findProcess = async (db: Queryable, facts: Facts, id: string): Promise<ListedProcess | undefined> =>
  (await rowsOf<ListedProcess & Record<string, unknown>>(db, { text: findProcessText(facts), values: [id] }))[0]

const SERVER = `
SELECT current_setting('server_version') AS version, current_database() AS database, current_user AS user,
  pg_is_in_recovery() AS is_standby, has_table_privilege('good_jobs', 'SELECT, INSERT, UPDATE, DELETE') AS may_write`

export interface ServerFacts {
  readonly version: string
  readonly database: string
  readonly user: string
  readonly is_standby: boolean
  readonly may_write: boolean
}

/** The server, and whether this user may work on good_jobs. */
export const readServer = async (db: Queryable): Promise<ServerFacts | undefined> => {
  const rows = await rowsOf<ServerFacts & Record<string, unknown>>(db, { text: SERVER })
  return rows[0]
}
