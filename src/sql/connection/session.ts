import pg, { type QueryResult, type QueryResultRow } from 'pg'
import { after, backoffMs, sleep } from '../../time.ts'
import { PINNED_SETTINGS } from '../transaction/read-committed.ts'
import { dropOnAbort, endClient } from './end-client.ts'
import { assertOwnBackend, assertSameBackend, type Backend, isPooled, ownBackend } from './pooler.ts'
import type { Queryable, Statement } from './queryable.ts'

export interface SessionOptions {
  readonly config: pg.ClientConfig
  /** @default a client of pg */
  readonly createClient?: (config: pg.ClientConfig) => pg.Client
  /** `SET` for this connection only, e.g. planner settings. */
  readonly settings: Readonly<Record<string, string>>
  /** The connection is lost, and with it everything that it held (locks, transaction). */
  readonly onLost?: (error: Error | undefined) => void
}

type SessionState = 'idle' | 'connected' | 'lost' | 'closed'

/** One pinned connection that is opened again after a loss. Its owner decides what a loss means. */
export class Session implements Queryable {
  readonly #options: SessionOptions
  #client: pg.Client | undefined
  #connecting: Promise<void> | undefined
  #abandoned: pg.Client | undefined
  #state: SessionState = 'idle'
  #backend: Backend | undefined
  #end = new AbortController()
  /** Fires on `close()`: a connection that is being opened is dropped. */
  readonly #closing = new AbortController()
  #answerTimeoutMs = Number.POSITIVE_INFINITY

  constructor(options: SessionOptions) {
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
    const { config, createClient } = this.#options
    const client = createClient?.(config) ?? new pg.Client(config)
    client.on('error', (error) => this.#lose(client, error))
    client.on('end', () => this.#lose(client, undefined))
    this.#answerTimeoutMs = takeAnswerTimeout(client)
    const opened = dropOnAbort(client, this.#closing.signal)
    try {
      await client.connect()
      await this.#prepare(client)
      this.#endAbandoned()
    } catch (error) {
      void endClient(client)
      throw error
    } finally {
      opened()
    }
    // The session was closed while it was connecting.
    if (this.#isClosed) return endClient(client)
    this.#client = client
    this.#end = new AbortController()
    this.#state = 'connected'
  }

  /** Turns a new connection into a session: checks its server process, applies the settings and ends the previous server process. */
  async #prepare(client: pg.Client): Promise<void> {
    const { config, settings } = this.#options
    const db: Queryable = { query: (statement) => this.#ask(client, statement) }
    const backend = await ownBackend(db)
    if (isPooled(client, backend.pid)) await assertOwnBackend(db, backend, config, this.#closing.signal)
    for (const [name, value] of Object.entries({ ...PINNED_SETTINGS, ...settings })) {
      await db.query({ text: SET_IF_KNOWN, values: [name, value] })
    }
    for (const [name, value] of Object.entries(KEEPALIVES)) {
      await db.query({ text: SET_UNLESS_CONFIGURED, values: [name, value] })
    }
    if (this.#backend) await endBackend(db, this.#backend)
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

  query<R extends QueryResultRow>(statement: Statement): Promise<QueryResult<R>> {
    return this.use((client) => client.query<R>(statement as pg.QueryConfig))
  }

  /** Calls `work` with the client itself; rejects if its result does not arrive in time. */
  async use<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = this.#client
    if (client === undefined || this.#state !== 'connected') {
      throw notConnected()
    }
    return inTime(work(client), this.#answerTimeoutMs)
  }

  /**
   * Checks that the same server process still responds. Rejects if it does not respond within `limitMs`, or within the configured
   * query timeout if that is shorter.
   */
  async proveAlive(limitMs: number): Promise<void> {
    if (this.#client === undefined || this.#backend === undefined) throw notConnected()
    await inTime(assertSameBackend(this.#client, this.#backend), Math.min(limitMs, this.#answerTimeoutMs))
  }

  /**
   * Stops using the connection that ends with `end`, and calls `onLost`. A late error of an earlier connection does not affect the
   * current one. The connection stays open until the next one ends it, so that the server keeps its locks. If only responses are
   * lost, closing the connection would free its locks for other sessions before this process can take them again.
   */
  abandon(error: Error, end: AbortSignal): void {
    const client = this.#client
    if (client === undefined || end !== this.end) return
    this.#endAbandoned()
    this.#abandoned = client
    this.#lose(client, error)
  }

  #endAbandoned(): void {
    if (this.#abandoned) void endClient(this.#abandoned)
    this.#abandoned = undefined
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#state = 'closed'
    this.#closing.abort()
    this.#client = undefined
    this.#end.abort()
    this.#endAbandoned()
    if (client) await endClient(client)
  }

  #ask<R extends QueryResultRow>(client: pg.Client, statement: Statement): Promise<QueryResult<R>> {
    return inTime(client.query<R>(statement as pg.QueryConfig), this.#answerTimeoutMs)
  }

  #lose(client: pg.Client, error: Error | undefined): void {
    if (this.#client !== client || this.#state !== 'connected') return
    this.#state = 'lost'
    this.#client = undefined
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

/** pg's own timer is turned off: after a blocked event loop it fires before a response that has already arrived is read. */
const takeAnswerTimeout = (client: pg.Client): number => {
  const { connectionParameters } = client as unknown as {
    connectionParameters: { query_timeout?: string | number | false }
  }
  const limitMs = Number(connectionParameters.query_timeout)
  connectionParameters.query_timeout = false
  return limitMs > 0 ? limitMs : Number.POSITIVE_INFINITY
}

/** A timer that is later than this was delayed by a blocked process; its time limit proves nothing. */
const STANDSTILL_MS = 500

/** Rejects if no response arrives within `limitMs` while the process runs. A process that was blocked must read its sockets first. */
const inTime = <T>(answer: Promise<T>, limitMs: number): Promise<T> => {
  if (!Number.isFinite(limitMs)) return answer
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout
    const arm = () => {
      const dueAt = performance.now() + limitMs
      timer = after(limitMs, () => {
        if (performance.now() - dueAt > STANDSTILL_MS) arm()
        else reject(Object.assign(new Error(`no answer within ${limitMs / 1000} s`), { code: 'ETIMEDOUT' }))
      })
    }
    arm()
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

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
