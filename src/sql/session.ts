import pg, { type QueryResult, type QueryResultRow } from 'pg'
import { backoffMs, sleep } from '../time.ts'
import type { Queryable } from './types.ts'

export interface SessionOptions {
  readonly config: pg.ClientConfig
  /** `SET` for this connection only, e.g. planner settings. */
  readonly settings: Readonly<Record<string, string>>
  /** The connection is gone; everything that it held (locks, transaction) is gone with it. */
  readonly onLost?: (error: Error | undefined) => void
}

type SessionState = 'idle' | 'connected' | 'lost' | 'closed'

/** One pinned connection that is opened again after it was lost. Its owner decides what a loss means. */
export class Session implements Queryable {
  readonly #options: SessionOptions
  #client: pg.Client | undefined
  #state: SessionState = 'idle'

  constructor(options: SessionOptions) {
    this.#options = options
  }

  get isConnected(): boolean {
    return this.#state === 'connected'
  }

  /** Opens the connection; @throws what Postgres or the network says. */
  async connect(): Promise<void> {
    if (this.#state === 'connected' || this.#state === 'closed') return
    const client = new pg.Client(this.#options.config)
    client.on('error', (error) => this.#lose(client, error))
    client.on('end', () => this.#lose(client, undefined))
    try {
      await client.connect()
      for (const [name, value] of Object.entries(this.#options.settings)) {
        // A setting that this server version does not know is left out.
        await client.query('SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1', [name, value])
      }
    } catch (error) {
      await client.end().catch(() => undefined)
      throw error
    }
    this.#client = client
    this.#state = 'connected'
  }

  /** Opens the connection, trying again with backoff until it works or `signal` aborts. */
  async connectUntil(signal: AbortSignal, onRetry: (error: unknown, attempt: number) => void): Promise<void> {
    for (let attempt = 1; !signal.aborted && this.#state !== 'closed'; attempt++) {
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

  /** Asks for an answer; rejects after the query timeout of the configuration when none comes. */
  async proveAlive(): Promise<void> {
    await this.query({ text: 'SELECT 1' })
  }

  /** Drops the connection at once, as a network cut would; the owner hears `onLost`. */
  abandon(error: Error): void {
    const client = this.#client
    if (client === undefined) return
    this.#lose(client, error)
    void client.end().catch(() => undefined)
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#state = 'closed'
    this.#client = undefined
    await client?.end().catch(() => undefined)
  }

  #lose(client: pg.Client, error: Error | undefined): void {
    if (this.#client !== client || this.#state !== 'connected') return
    this.#state = 'lost'
    this.#client = undefined
    this.#options.onLost?.(error)
  }
}
