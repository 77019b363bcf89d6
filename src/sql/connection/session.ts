import type { ClientConfig, QueryResult, QueryResultRow } from 'pg'
import { backoffMs, sleep } from '../../time.ts'
import { PINNED_SETTINGS } from '../transaction/read-committed.ts'
import { type Connection, dropOnAbort, endConnection, inTime } from './connection.ts'
import { assertOwnBackend, assertSameBackend, type Backend, isPooled, ownBackend } from './pooler.ts'
import type { Queryable, QueryableStatement } from './queryable.ts'

export interface SessionOptions<C extends Connection> {
  readonly config: ClientConfig
  /** Creates a connection that is not open yet, usually `pgConnection`. */
  readonly createConnection: (config: ClientConfig) => C
  /** `SET` for this connection only, e.g. planner settings. */
  readonly settings: Readonly<Record<string, string>>
  /** The connection is lost, and with it everything that it held (locks, transaction). */
  readonly onLost?: (error: Error | undefined) => void
}

type SessionState = 'idle' | 'connected' | 'lost' | 'closed'

/** One pinned connection that is opened again after a loss. Its owner decides what a loss means. */
export class Session<C extends Connection = Connection> implements Queryable {
  readonly #options: SessionOptions<C>
  #connection: C | undefined
  #connecting: Promise<void> | undefined
  #abandoned: C | undefined
  #state: SessionState = 'idle'
  #backend: Backend | undefined
  #end = new AbortController()
  /** Fires on `close()`: a connection that is being opened is dropped. */
  readonly #closing = new AbortController()

  constructor(options: SessionOptions<C>) {
    this.#options = options
  }

  get isConnected(): boolean {
    return this.#state === 'connected'
  }

  /** Fires when the connection that is open now is lost or closed. */
  get end(): AbortSignal {
    return this.#end.signal
  }

  /**
   * Opens the connection; concurrent callers share one attempt. @throws the error of Postgres or the network, SessionRequiredError
   * behind a pooler that keeps no sessions
   */
  async connect(): Promise<void> {
    if (this.isConnected || this.#isClosed) return
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined
    })
    await this.#connecting
  }

  async #connect(): Promise<void> {
    const { config, createConnection } = this.#options
    const connection = createConnection(config)
    connection.onLost((error) => this.#lose(connection, error))
    const opened = dropOnAbort(connection, this.#closing.signal)
    try {
      await connection.connect()
      await this.#prepare(connection)
      this.#endAbandoned()
    } catch (error) {
      void endConnection(connection)
      throw error
    } finally {
      opened()
    }
    // The session was closed while it was connecting.
    if (this.#isClosed) return endConnection(connection)
    this.#connection = connection
    this.#end = new AbortController()
    this.#state = 'connected'
  }

  /** Turns a new connection into a session: checks its server process, applies the settings and ends the previous server process. */
  async #prepare(connection: C): Promise<void> {
    const { config, settings } = this.#options
    const backend = await ownBackend(connection)
    if (isPooled(connection, backend.pid)) await assertOwnBackend(connection, backend, config, this.#closing.signal)
    for (const [name, value] of Object.entries({ ...PINNED_SETTINGS, ...settings })) {
      await connection.query({ text: SET_IF_KNOWN, values: [name, value] })
    }
    for (const [name, value] of Object.entries(KEEPALIVES)) {
      await connection.query({ text: SET_UNLESS_CONFIGURED, values: [name, value] })
    }
    if (this.#backend) await endBackend(connection, this.#backend)
    this.#backend = backend
  }

  get #isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Opens the connection, with backoff, until it works or `signal` aborts. */
  async connectUntil(signal: AbortSignal, onRetry: (error: unknown, attempt: number) => void): Promise<void> {
    for (let attempt = 1; !signal.aborted && !this.#isClosed; attempt++) {
      try {
        return await this.connect()
      } catch (error) {
        onRetry(error, attempt)
        await sleep(backoffMs(attempt), signal)
      }
    }
  }

  query<R extends QueryResultRow>(statement: QueryableStatement): Promise<QueryResult<R>> {
    return this.use((connection) => connection.query<R>(statement))
  }

  /** Calls `work` with the connection itself. */
  async use<T>(work: (connection: C) => Promise<T>): Promise<T> {
    const connection = this.#connection
    if (connection === undefined || this.#state !== 'connected') throw notConnected()
    return work(connection)
  }

  /**
   * Checks that the same server process still responds. Rejects if it does not respond within `limitMs`, or within the configured
   * query timeout if that is shorter.
   */
  async proveAlive(limitMs: number): Promise<void> {
    if (this.#connection === undefined || this.#backend === undefined) throw notConnected()
    await inTime(assertSameBackend(this.#connection, this.#backend), limitMs)
  }

  /**
   * Stops using the connection that ends with `end`, and calls `onLost`. A late error of an earlier connection does not affect the
   * current one. The connection stays open until the next one ends it, so that the server keeps its locks. If only responses are
   * lost, closing the connection would free its locks for other sessions before this process can take them again.
   */
  abandon(error: Error, end: AbortSignal): void {
    const connection = this.#connection
    if (connection === undefined || end !== this.end) return
    this.#endAbandoned()
    this.#abandoned = connection
    this.#lose(connection, error)
  }

  #endAbandoned(): void {
    if (this.#abandoned) void endConnection(this.#abandoned)
    this.#abandoned = undefined
  }

  async close(): Promise<void> {
    const connection = this.#connection
    this.#state = 'closed'
    this.#closing.abort()
    this.#connection = undefined
    this.#end.abort()
    this.#endAbandoned()
    if (connection) await endConnection(connection)
  }

  #lose(connection: C, error: Error | undefined): void {
    if (this.#connection !== connection || this.#state !== 'connected') return
    this.#state = 'lost'
    this.#connection = undefined
    this.#end.abort()
    this.#options.onLost?.(error)
  }
}

const notConnected = (): Error => Object.assign(new Error('the session is not connected'), { code: '08003' })

/**
 * With these settings the server notices within five minutes that a host has vanished, and ends its sessions and their locks. The
 * process row of such a host expires after five minutes, too. With its defaults the server would keep the sessions for hours.
 */
const KEEPALIVES = { tcp_keepalives_idle: '60', tcp_keepalives_interval: '24', tcp_keepalives_count: '10' }

/** A setting unknown to this server version is skipped. $1 name · $2 value */
const SET_IF_KNOWN = 'SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1'

/** A value that a DBA has configured stays. $1 name · $2 value */
const SET_UNLESS_CONFIGURED = `SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1 AND source = 'default'`

/** $1 pid int · $2 start of the backend. Behind a pooler the same backend may now serve another client, or this one. */
const END_BACKEND = `
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE pid = $1::int
  AND backend_start = $2::timestamptz
  AND application_name = current_setting('application_name')
  AND pid <> pg_backend_pid()`

/** Executions of END_BACKEND, each followed by a pause: a backend releases its locks while it ends. */
const END_BACKEND_TRIES = 100
const END_BACKEND_PAUSE_MS = 20

/**
 * After a network partition the server may keep the previous connection, with its locks and its open transaction, for hours: it
 * does not know that the client is gone. @throws while the backend has not ended: its locks cannot be taken back yet
 */
const endBackend = async (db: Queryable, { pid, backend_start }: Backend): Promise<void> => {
  for (let attempt = 1; attempt <= END_BACKEND_TRIES; attempt++) {
    const { rowCount } = await db.query({ text: END_BACKEND, values: [pid, backend_start] })
    if (rowCount === 0) return
    await sleep(END_BACKEND_PAUSE_MS)
  }
  throw Object.assign(new Error(`the server process ${pid} of the previous connection has not ended yet`), {
    code: 'ETIMEDOUT',
  })
}
