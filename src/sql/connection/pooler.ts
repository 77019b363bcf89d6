import { randomBytes } from 'node:crypto'
import type { ClientConfig } from 'pg'
import { ConfigurationError, SessionRequiredError, sqlState } from '../../errors.ts'
import { BEGIN } from '../transaction/read-committed.ts'
import { type Connection, dropOnAbort, endConnection, inTime } from './connection.ts'
import { pgConnection } from './pg-connection.ts'
import type { Queryable } from './queryable.ts'

/** The server process behind a connection. */
export interface Backend {
  readonly pid: number
  readonly backend_start: string
}

const OWN_BACKEND =
  'SELECT pid, backend_start::text AS backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()'

/** Returns the server process behind a connection. */
export const ownBackend = async (db: Queryable): Promise<Backend> => {
  const { rows } = await db.query<Backend>({ text: OWN_BACKEND })
  return rows[0] ?? { pid: await backendPid(db), backend_start: '' }
}

/**
 * True if the connection leads through a pooler. A pooler issues cancel keys of its own, because it does not know the server
 * process yet when a client connects. Unknown counts as true.
 */
export const isPooled = ({ processID }: Queryable, pid: number): boolean => processID !== pid

const backendPid = async (db: Queryable): Promise<number> => {
  const { rows } = await db.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' })
  return rows[0]?.pid ?? 0
}

const ROUNDS = 3
/** The server refuses the protocol at this point; in statement mode PgBouncer refuses transactions with this code. */
const PROTOCOL_VIOLATION = '08P01'

/**
 * Checks that a single server process executes all statements of this connection, also those outside of transactions, and serves no
 * other connection. A pooler that keeps sessions passes. @throws SessionRequiredError
 */
export const assertOwnBackend = async (
  db: Queryable,
  { pid }: Backend,
  config: ClientConfig,
  signal?: AbortSignal,
): Promise<void> => {
  // If the pooler's sessions are exhausted, either connection would wait forever for the one that the other holds.
  const other = pgConnection({ ...config, query_timeout: PROBE_TIMEOUT_MS })
  const tested: Queryable = { query: (statement) => inTime(db.query(statement), PROBE_TIMEOUT_MS) }
  const isOver = dropOnAbort(other, signal)
  try {
    await other.connect()
    for (let round = 1; round <= ROUNDS; round++) await probe(tested, other, pid)
  } catch (error) {
    if (sqlState(error) !== PROTOCOL_VIOLATION || !(await refusesTransactions(config, signal))) throw error
    throw new SessionRequiredError(`${LEADS_THROUGH} that allows no transactions. ${WAY_OUT}`, { cause: error })
  } finally {
    isOver()
    await endConnection(other)
  }
}

/**
 * PgBouncer also uses this code for a server that it cannot reach; in that case no statement succeeds. A pooler that executes a
 * statement and refuses a transaction twice keeps no sessions.
 */
const refusesTransactions = async (config: ClientConfig, signal: AbortSignal | undefined): Promise<boolean> => {
  const connection = pgConnection({ ...config, query_timeout: PROBE_TIMEOUT_MS })
  const isOver = dropOnAbort(connection, signal)
  try {
    await connection.connect()
    await backendPid(connection)
    return await connection.query({ text: BEGIN }).then(
      () => false,
      (error) => sqlState(error) === PROTOCOL_VIOLATION,
    )
  } catch {
    return false
  } finally {
    isOver()
    await endConnection(connection)
  }
}

const PROBE_TIMEOUT_MS = 5_000

/**
 * Opens one transaction more than the connection under test needs. A pooler with one server process lends that process to both
 * connections. A pooler with several gets the other process back first or last, so that the next statement meets it whether the
 * pool is a stack or a queue.
 */
const probe = async (db: Queryable, other: Connection, pid: number): Promise<void> => {
  for (const isLastGivenBack of [true, false]) {
    await other.query({ text: BEGIN })
    differs(pid, await backendPid(other), 'shared')
    differs(pid, await backendPid(db), 'changed')
    await db.query({ text: BEGIN })
    differs(pid, await backendPid(db), 'changed')
    if (!isLastGivenBack) await other.query({ text: 'COMMIT' })
    await db.query({ text: 'COMMIT' })
    if (isLastGivenBack) await other.query({ text: 'COMMIT' })
    differs(pid, await backendPid(db), 'changed')
  }
}

const LEADS_THROUGH = 'the connection of a worker leads through a pooler'
const WAY_OUT =
  'A worker holds advisory locks and listens, which needs a session: set directDatabaseUrl (GOOD_JOB_DIRECT_DATABASE_URL) to a URL ' +
  'that leads to Postgres itself, or let the pooler keep sessions (PgBouncer: pool_mode=session).'

const differs = (pid: number, answeredBy: number, what: 'shared' | 'changed'): void => {
  if ((answeredBy === pid) === (what === 'changed')) return
  const found =
    what === 'shared'
      ? `server process ${pid} answered two connections`
      : `server processes ${pid} and ${answeredBy} answered one connection`
  throw new SessionRequiredError(`${LEADS_THROUGH} in transaction mode: ${found}. ${WAY_OUT}`)
}

/** @throws SessionRequiredError if the connection has another server process than at the start. */
export const assertSameBackend = async (db: Queryable, { pid }: Backend): Promise<void> =>
  differs(pid, await backendPid(db), 'changed')

/** $1 key bigint. A lock that a transaction of `databaseUrl` holds is free in every other database and on a standby. */
const FIND_TABLES = `SELECT to_regclass('good_jobs')::oid::text AS tables, pg_try_advisory_xact_lock($1::bigint) AS is_lock_free`
const LOCK_AND_FIND_TABLES = `SELECT to_regclass('good_jobs')::oid::text AS tables, pg_advisory_xact_lock($1::bigint)`

/**
 * Makes sure that both URLs lead to the same tables of the same server. `transaction` runs its argument in a transaction of
 * `databaseUrl`. @throws ConfigurationError
 */
export const assertSameTables = async (
  transaction: (work: (db: Queryable) => Promise<void>) => Promise<void>,
  directConfig: ClientConfig,
  signal: AbortSignal,
): Promise<void> => {
  const key = randomBytes(8).readBigInt64BE().toString()
  const direct = pgConnection(directConfig)
  const isOver = dropOnAbort(direct, signal)
  try {
    await direct.connect()
    await transaction(async (db) => {
      const here = await db.query<{ tables: string }>({ text: LOCK_AND_FIND_TABLES, values: [key] })
      const there = await direct.query<{ tables: string; is_lock_free: boolean }>({ text: FIND_TABLES, values: [key] })
      const isSame = there.rows[0]?.is_lock_free === false && there.rows[0].tables === here.rows[0]?.tables
      if (!isSame) throw new ConfigurationError(OTHER_DATABASE)
    })
  } finally {
    isOver()
    await endConnection(direct)
  }
}

const OTHER_DATABASE =
  'directDatabaseUrl (GOOD_JOB_DIRECT_DATABASE_URL) leads to other tables than databaseUrl (DATABASE_URL): both must name the same ' +
  'server, database and schema, one by way of the pooler, one without it'
