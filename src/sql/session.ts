import pg, { type QueryResult, type QueryResultRow } from 'pg'
import { backoffMs, sleep } from '../time.ts'
import { endClient } from './end-client.ts'
import { assertOwnBackend, assertSameBackend, type Backend, ownBackend } from './pooler.ts'
import type { Queryable } from './types.ts'

export interface SessionOptions {
  readonly config: pg.ClientConfig
  /** `SET` for this connection only, e.g. planner settings. */
  readonly settings: Readonly<Record<string, string>>
  /** The connection is gone; everything that it held (locks, transaction) is gone with it. */
  readonly onLost?: (error: Error | undefined) => void
}

type SessionState = 'idle' | 'connected' | 'lost' | 'closed'

/**
 * One pinned connection that is opened again after it was lost. Its owner decides what a loss means.
 */
export class Session implements Queryable {
  readonly #options: SessionOptions
  #client: pg.Client | undefined
  #state: SessionState = 'idle'
  #backend: Backend | undefined

  constructor(options: SessionOptions) {
    this.#options = options
  }

  get isConnected(): boolean {
    return this.#state === 'connected'
  }

  /** Opens the connection; @throws what Postgres or the network says, SessionRequiredError behind a pooler that keeps no sessions. */
  async connect(): Promise<void> {
    if (this.isConnected || this.#isClosed) return
    const client = new pg.Client(this.#options.config)
    client.on('error', (error) => this.#lose(client, error))
    client.on('end', () => this.#lose(client, undefined))
    try {
      await client.connect()
      const backend = await ownBackend(client)
      await assertOwnBackend(client, backend, this.#options.config)
      for (const [name, value] of Object.entries(this.#options.settings)) {
        // A setting that this server version does not know is left out.
        await client.query('SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1', [name, value])
      }
      if (this.#backend) await endBackend(client, this.#backend)
      this.#backend = backend
    } catch (error) {
      void endClient(client)
      throw error
    }
    // Closed while it was connecting.
    if (this.#isClosed) return endClient(client)
    this.#client = client
    this.#state = 'connected'
  }

  get #isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Opens the connection, trying again with backoff until it works or `signal` aborts. */
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

  async query<R extends QueryResultRow>(statement: { text: string; values?: unknown[] }): Promise<QueryResult<R>> {
    const client = this.#client
    if (client === undefined || this.#state !== 'connected') {
      throw Object.assign(new Error('the session is not connected'), { code: '08003' })
    }
    return client.query<R>(statement as pg.QueryConfig)
  }

  /** Asks for an answer of the same server process; rejects after the query timeout of the configuration when none comes. */
  async proveAlive(): Promise<void> {
    if (this.#client && this.#backend) await assertSameBackend(this.#client, this.#backend)
  }

  /** Drops the connection at once, as a network cut would; the owner hears `onLost`. */
  abandon(error: Error): void {
    const client = this.#client
    if (client === undefined) return
    this.#lose(client, error)
    void endClient(client)
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#state = 'closed'
    this.#client = undefined
    if (client) await endClient(client)
  }

  #lose(client: pg.Client, error: Error | undefined): void {
    if (this.#client !== client || this.#state !== 'connected') return
    this.#state = 'lost'
    this.#client = undefined
    this.#options.onLost?.(error)
  }
}

/** $1 pid int · $2 start of the backend. Behind a pooler the same backend may have gone to somebody else, or to us. */
const END_BACKEND = `
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE pid = $1::int
  AND backend_start = $2::timestamptz
  AND application_name = current_setting('application_name')
  AND pid <> pg_backend_pid()`

/** Tries of END_BACKEND, each followed by a pause: a backend releases its locks while it ends. */
const END_BACKEND_TRIES = 100
const END_BACKEND_PAUSE_MS = 20

/**
 * After a partition the server may keep the former connection, with its locks and its open transaction, for hours: nobody told it
 * that we are gone.
 */
const endBackend = async (client: pg.Client, { pid, backend_start }: Backend): Promise<void> => {
  for (let attempt = 1; attempt <= END_BACKEND_TRIES; attempt++) {
    const { rowCount } = await client.query(END_BACKEND, [pid, backend_start])
    if (rowCount === 0) return
    await sleep(END_BACKEND_PAUSE_MS)
  }
}
