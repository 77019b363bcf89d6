import type pg from 'pg'
import { ConfigurationError, isRetryable, SERIALIZATION_FAILURE, sqlState } from '../errors.ts'
import { borrow, dropDead, ignoreIdleError, OwnPool } from './connection/pool.ts'
import { assertSameTables } from './connection/pooler.ts'
import { type Queryable, rowsOf } from './connection/queryable.ts'
import { CONNECT_MS, SILENCE_MS, searchPathIn, urlConfig } from './connection/url.ts'
import { callersFacts, readFacts } from './facts.ts'
import type { Capabilities } from './schema/schema.ts'
import { inTransaction } from './transaction/read-committed.ts'

/** The facts about a database that the statements depend on: optional columns and tables, and the type of its time columns. */
export interface Facts extends Capabilities {
  readonly timestampType: 'timestamp' | 'timestamptz'
  /** True if a pooler may assign each transaction to a different server process. */
  readonly isPooled: boolean
}

/** The server's clock as a value for this database's time columns, whatever the session's TimeZone is. */
export const serverNow = ({ timestampType }: Pick<Facts, 'timestampType'>): string =>
  timestampType === 'timestamptz' ? 'clock_timestamp()' : `(clock_timestamp() AT TIME ZONE 'UTC')`

export interface DatabaseOptions {
  readonly databaseUrl?: string | undefined
  /** The URL for sessions, if `databaseUrl` or `pool` leads through a pooler. */
  readonly directDatabaseUrl?: string | undefined
  /** A pool of the caller. The caller ends it. */
  readonly pool?: pg.Pool | undefined
  /** @default 5 */
  readonly poolSize?: number
  /** Idle time after which a connection of the pool is closed. @default 10 seconds */
  readonly poolIdleMs?: number
  readonly applicationName?: string
}

/** The part of Postgres that this process uses: a pool, the facts about the schema, transactions. */
export class Database {
  #pool: pg.Pool
  #own: OwnPool | undefined
  readonly #clientConfig: pg.ClientConfig
  readonly #directConfig: pg.ClientConfig | undefined
  /** The search_path that `?schema=…` requests. */
  readonly #searchPath: string | undefined
  #facts: Promise<Facts> | undefined
  #areFactsRead = false
  #lastFacts: Facts | undefined

  constructor(options: DatabaseOptions) {
    this.#clientConfig = options.pool
      ? poolConfig(options.pool)
      : urlConfig('databaseUrl', options.databaseUrl, options)
    const { directDatabaseUrl, databaseUrl } = options
    this.#searchPath = options.pool || !databaseUrl ? undefined : searchPathIn(databaseUrl)
    this.#directConfig = directDatabaseUrl ? urlConfig('directDatabaseUrl', directDatabaseUrl, options) : undefined
    // A script that only enqueues must exit when its work is done, not after the idle timeout of its connections.
    const own = {
      ...this.#clientConfig,
      max: options.poolSize ?? 5,
      idleTimeoutMillis: options.poolIdleMs ?? 10_000,
      allowExitOnIdle: true,
    }
    if (options.pool === undefined) this.#own = new OwnPool(own)
    this.#pool = options.pool ?? (this.#own as OwnPool).pool
    options.pool?.on('error', ignoreIdleError)
  }

  get pool(): pg.Pool {
    return this.#pool
  }

  /** Resolves when Postgres responds. */
  async answers(): Promise<void> {
    await this.pool.query('SELECT 1')
  }

  /** Configuration of further connections to the same database. */
  clientConfig(applicationName: string): pg.ClientConfig {
    return { ...this.#clientConfig, application_name: applicationName }
  }

  /** Configuration of a connection that must be a session of its own: for locks, LISTEN, settings. */
  sessionConfig(applicationName: string): pg.ClientConfig {
    return { ...(this.#directConfig ?? this.#clientConfig), application_name: applicationName }
  }

  /**
   * Checks that the direct URL leads to the same tables; stops when `signal` fires. @throws ConfigurationError if it leads to other
   * tables
   */
  async assertOneDatabase(signal: AbortSignal): Promise<void> {
    if (this.#directConfig) await assertSameTables((work) => this.transaction(work), this.#directConfig, signal)
  }

  /**
   * Returns the facts about the schema. They are read once, and again after `forgetFacts`. If the second reading fails, the last
   * facts stay valid, and the next statement reports the problem. Inside one of our own transactions the facts are read on its
   * connection, because the pool may have no other. A session reads them on its own connection: pool connections may have died in
   * the same outage, and the session must not wait for them.
   * @throws SchemaError at the first reading
   */
  facts(db: Queryable = this.pool): Promise<Facts> {
    if (this.#facts && (db === this.pool || this.#areFactsRead)) return this.#facts
    const reading = this.#readFacts(db).then(
      (facts) => {
        // A reading that began before `forgetFacts` must not mark the current one as read.
        if (this.#facts === reading) this.#areFactsRead = true
        if (this.#facts === reading || this.#lastFacts === undefined) this.#lastFacts = facts
        return facts
      },
      (error) => {
        if (this.#facts === reading) this.#facts = undefined
        if (this.#lastFacts) return this.#lastFacts
        throw error
      },
    )
    this.#facts = reading
    return reading
  }

  /** Returns the facts for a statement inside a transaction of the caller. @throws SchemaError at the first reading */
  async factsFor(transaction: Queryable): Promise<Facts> {
    if (this.#facts && this.#areFactsRead) return this.#facts
    const isOwnPool = this.#own !== undefined
    return callersFacts(transaction, { pool: this.pool, isOwnPool, readForAll: () => this.facts() })
  }

  /** Migrations run while workers run, so the facts are read again after a reconnect or an undefined-column error. */
  forgetFacts(): void {
    this.#facts = undefined
    this.#areFactsRead = false
  }

  /** @throws ConfigurationError if `?schema=…` of the URL has no effect: a pooler may drop the option silently */
  async assertSearchPath(db: Queryable = this.pool): Promise<void> {
    if (this.#searchPath === undefined) return
    const [row] = await rowsOf<{ search_path: string }>(db, { text: SHOW_SEARCH_PATH })
    if (row?.search_path === this.#searchPath) return
    throw new ConfigurationError(
      `the schema in DATABASE_URL has no effect: the search_path is ${row?.search_path}, not ${this.#searchPath}. A pooler leaves it out ` +
        `(PgBouncer: ignore_startup_parameters = options); take it out of the URL, and set it for the user: ALTER ROLE … SET search_path = ${this.#searchPath}`,
    )
  }

  async #readFacts(db: Queryable): Promise<Facts> {
    await this.assertSearchPath(db)
    if (db === this.pool) return this.connection(readFacts)
    const facts = await readFacts(db)
    // A session cannot know whether the pool leads through a pooler.
    return 'processID' in db ? facts : { ...facts, isPooled: this.#lastFacts?.isPooled ?? true }
  }

  /** After a connection was lost: ends idle pool connections that no longer respond, before a caller has to wait for one. */
  dropDeadConnections(): Promise<void> {
    return dropDead(this.pool)
  }

  /** Runs `work` in a transaction of its own; rolls back when it throws. The message that begins it also carries `opening`. */
  transaction<T>(work: (client: pg.PoolClient) => Promise<T>, opening: readonly string[] = []): Promise<T> {
    return this.connection((client) => inTransaction(client, () => work(client), opening))
  }

  /**
   * Sends one statement without the round trips of a transaction. If the default isolation level is stricter, Postgres may refuse
   * the statement because of concurrent changes. The statement has then done nothing, and is sent again in a transaction.
   */
  async statement<T>(work: (db: Queryable) => Promise<T>): Promise<T> {
    try {
      return await work(this.pool)
    } catch (error) {
      if (sqlState(error) !== SERIALIZATION_FAILURE) throw error
      return this.transaction(work)
    }
  }

  /** Runs `work` with a connection of its own. */
  async connection<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    let broken: Error | undefined
    const noteLoss = (error: Error) => {
      broken = error
    }
    const client = await borrow(this.pool, noteLoss)
    try {
      return await work(client)
    } catch (error) {
      if (isRetryable(error)) broken = error as Error
      throw error
    } finally {
      client.off('error', noteLoss)
      client.release(broken)
    }
  }

  /** Ends the pool, unless it belongs to the caller. Connections that are still in use after `graceMs` are dropped. */
  async close(graceMs = Number.POSITIVE_INFINITY): Promise<void> {
    // The next start must not wait for a reading that never completed.
    this.forgetFacts()
    if (this.#own) await this.#own.end(graceMs)
    else this.#pool.off('error', ignoreIdleError)
  }

  /** After `close()`: makes a new pool, or listens to the caller's again. */
  reopen(): void {
    if (this.#own === undefined) this.#pool.off('error', ignoreIdleError).on('error', ignoreIdleError)
    if (!this.#own?.isEnding) return
    this.#own = this.#own.again()
    this.#pool = this.#own.pool
  }
}

const SHOW_SEARCH_PATH = `SELECT current_setting('search_path') AS search_path`

const poolConfig = (pool: pg.Pool): pg.ClientConfig => {
  const { max: _max, min: _min, idleTimeoutMillis: _idle, ...config } = pool.options as pg.PoolConfig
  // The pool's `password` is not enumerable, so that no spread or log contains it.
  const { password } = pool.options as pg.PoolConfig
  // Without a limit, a proxy that accepts the connection and never responds would be waited for indefinitely.
  const connectionTimeoutMillis = config.connectionTimeoutMillis || CONNECT_MS
  return {
    query_timeout: SILENCE_MS,
    ...config,
    connectionTimeoutMillis,
    ...(password === undefined ? {} : { password }),
  }
}
