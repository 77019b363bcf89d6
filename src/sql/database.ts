import type pg from 'pg'
import { ConfigurationError, isRetryable, SERIALIZATION_FAILURE, sqlState } from '../errors.ts'
import { borrow, dropDead, ignoreIdleError, OwnPool } from './connection/pool.ts'
import { assertSameTables } from './connection/pooler.ts'
import { type Queryable, rowsOf } from './connection/queryable.ts'
import { CONNECT_MS, SILENCE_MS, searchPathIn, urlConfig } from './connection/url.ts'
import { callersFacts, readFacts } from './facts.ts'
import type { Capabilities } from './schema/schema.ts'
import { inTransaction } from './transaction/read-committed.ts'

/** What the statements must know of this database: optional columns and tables, and the type of its time columns. */
export interface Facts extends Capabilities {
  readonly timestampType: 'timestamp' | 'timestamptz'
  /** A pooler may give each transaction another server process. */
  readonly isPooled: boolean
}

/** The server's clock as a value for this database's time columns, whatever the session's TimeZone is. */
export const serverNow = ({ timestampType }: Pick<Facts, 'timestampType'>): string =>
  timestampType === 'timestamptz' ? 'clock_timestamp()' : `(clock_timestamp() AT TIME ZONE 'UTC')`

export interface DatabaseOptions {
  readonly databaseUrl?: string | undefined
  /** For sessions, when `databaseUrl` or `pool` leads through a pooler. */
  readonly directDatabaseUrl?: string | undefined
  /** A pool of the caller's; it stays the caller's to end. */
  readonly pool?: pg.Pool | undefined
  /** @default 5 */
  readonly poolSize?: number
  /** After which a connection of the pool that nobody used is closed. @default 10 seconds */
  readonly poolIdleMs?: number
  readonly applicationName?: string
}

/** The part of Postgres that this process uses: a pool, the facts about the schema, transactions. */
export class Database {
  #pool: pg.Pool
  #own: OwnPool | undefined
  readonly #clientConfig: pg.ClientConfig
  readonly #directConfig: pg.ClientConfig | undefined
  /** What `?schema=…` asks for. */
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
    // A script that only enqueues ends when its work is done, not when its connections have been idle for long enough.
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

  /** Resolves when Postgres answers. */
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

  /** What is asked is dropped when `signal` fires. @throws ConfigurationError when the direct URL leads to other tables. */
  async assertOneDatabase(signal: AbortSignal): Promise<void> {
    if (this.#directConfig) await assertSameTables((work) => this.transaction(work), this.#directConfig, signal)
  }

  /**
   * Optional columns and tables; read once, again after `forgetFacts`. When they cannot be read again the last ones hold: the
   * statement that is sent next tells what is wrong. Inside a transaction of ours its connection is asked: the pool may have no other. A
   * session is asked itself: connections of the pool may have died in the outage that it comes from, and whoever waits for them is not to be
   * waited for.
   * @throws SchemaError at the first reading
   */
  facts(db: Queryable = this.pool): Promise<Facts> {
    if (this.#facts && (db === this.pool || this.#areFactsRead)) return this.#facts
    const reading = this.#readFacts(db).then(
      (facts) => {
        // A reading that was forgotten says nothing about the one under way.
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

  /** The facts for a statement inside a transaction of the caller's. @throws SchemaError at the first reading */
  async factsFor(transaction: Queryable): Promise<Facts> {
    if (this.#facts && this.#areFactsRead) return this.#facts
    const isOwnPool = this.#own !== undefined
    return callersFacts(transaction, { pool: this.pool, isOwnPool, readForAll: () => this.facts() })
  }

  /** Migrations run while workers are up, so the facts are read again after a reconnect or an undefined-column error. */
  forgetFacts(): void {
    this.#facts = undefined
    this.#areFactsRead = false
  }

  /** @throws ConfigurationError when `?schema=…` of the URL has no effect: a pooler may leave it out without a word */
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
    // A session knows nothing of the way that the pool takes.
    return 'processID' in db ? facts : { ...facts, isPooled: this.#lastFacts?.isPooled ?? true }
  }

  /** After a connection was lost: ends idle ones of the pool on which no answer comes, before somebody waits for it. */
  dropDeadConnections(): Promise<void> {
    return dropDead(this.pool)
  }

  /** Runs `work` in a transaction of its own; rolls back when it throws. */
  transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return this.connection((client) => inTransaction(client, () => work(client)))
  }

  /**
   * Sends one statement without the round trips of a transaction. Where another level of isolation is the default, Postgres refuses
   * it because of what others did meanwhile; then it has done nothing, and is sent again in a transaction.
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

  /** Ends the pool, unless it belongs to the caller. Connections that are at something after `graceMs` are dropped. */
  async close(graceMs = Number.POSITIVE_INFINITY): Promise<void> {
    // A reading that nobody answered is not waited for by the next start.
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
  // The pool hides the password from spreads and logs.
  const { password } = pool.options as pg.PoolConfig
  // Without a limit a proxy that accepts and says nothing would be waited for in vain.
  const connectionTimeoutMillis = config.connectionTimeoutMillis || CONNECT_MS
  return {
    query_timeout: SILENCE_MS,
    ...config,
    connectionTimeoutMillis,
    ...(password === undefined ? {} : { password }),
  }
}
