import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Client, escapeIdentifier, type QueryResultRow } from 'pg'
import { findEmbeddedPostgres } from '../src/demo/postgres-binaries.ts'
import { createDatabase, databaseName, dropDatabase, withDatabase } from '../src/demo/postgres-databases.ts'
import { startServer } from '../src/demo/postgres-server.ts'

/** A durable server, as in production; only memory and the size of the WAL are more than the defaults of 1996's machines. */
const SETTINGS = [
  'fsync = on',
  'synchronous_commit = on',
  'full_page_writes = on',
  'shared_buffers = 2GB',
  'max_wal_size = 8GB',
  'checkpoint_timeout = 30min',
]

/** The settings of the server that the report shows. */
const REPORTED = [
  'server_version',
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'shared_buffers',
  'max_wal_size',
  'checkpoint_timeout',
  'work_mem',
  'random_page_cost',
  'autovacuum',
  'jit',
]

/** Above a few times the size of an empty database. */
const COPIED_AS_FILES_BYTES = 100_000_000

/** A database of one measurement. */
export interface BenchDatabase {
  readonly url: string
  readonly client: Client
  drop(): Promise<void>
}

/** The server of a run, with templates that several measurements start from. */
export class BenchServer {
  readonly url: string
  readonly #stop: () => Promise<void>
  readonly #templates = new Map<string, Promise<string>>()
  readonly #made: string[] = []
  readonly #isKeeping: boolean

  private constructor(url: string, stop: () => Promise<void>, isKeeping: boolean) {
    this.url = url
    this.#stop = stop
    this.#isKeeping = isKeeping
  }

  /** The server of DATABASE_URL as it is, or an embedded one. With `keep` templates stay there for the next run. */
  static async start(env: NodeJS.ProcessEnv, { keep }: { keep: boolean }): Promise<BenchServer> {
    if (env.DATABASE_URL) return new BenchServer(env.DATABASE_URL, async () => {}, keep)
    const { url, stop } = await startServer(findEmbeddedPostgres(), SETTINGS)
    return new BenchServer(url, stop, false)
  }

  async settings(): Promise<Record<string, string>> {
    const client = await connect(this.url)
    const { rows } = await client.query<{ name: string; setting: string }>(
      'SELECT name, current_setting(name) AS setting FROM pg_settings WHERE name = ANY ($1)',
      [REPORTED],
    )
    await client.end()
    return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))
  }

  /** A new copy of the database that `fill` filled under this name; `fill` runs once. */
  async database(template: string, fill: (client: Client, url: string) => Promise<unknown>): Promise<BenchDatabase> {
    const name = `good_job_bench_${randomBytes(6).toString('hex')}`
    await this.#copy(await this.#template(template, fill), name)
    this.#made.push(name)
    const url = withDatabase(this.url, name)
    const client = await connect(url)
    return {
      url,
      client,
      drop: async () => {
        await client.end()
        await dropDatabase(this.url, name)
      },
    }
  }

  /** The filled database itself, for measurements that undo their changes; `fill` runs once. */
  async shared(template: string, fill: (client: Client, url: string) => Promise<unknown>): Promise<BenchDatabase> {
    const url = withDatabase(this.url, await this.#template(template, fill))
    const client = await connect(url)
    return { url, client, drop: () => client.end() }
  }

  /** Frees the disk of a template that no further measurement starts from. */
  async forget(template: string): Promise<void> {
    const made = this.#templates.get(template)
    this.#templates.delete(template)
    if (made !== undefined && !this.#isKeeping) await dropDatabase(this.url, await made)
  }

  async stop(): Promise<void> {
    for (const name of this.#made) await dropDatabase(this.url, name)
    await this.#stop()
  }

  #template(template: string, fill: (client: Client, url: string) => Promise<unknown>): Promise<string> {
    const made = this.#templates.get(template) ?? this.#makeTemplate(template, fill)
    this.#templates.set(template, made)
    return made
  }

  /**
   * Through the WAL, as Postgres does it by default, a large database takes a minute. Copied as files it comes with a checkpoint, after
   * which the first change of each page writes the page to the WAL. This cost is the same for all contenders that start from it.
   */
  async #copy(template: string, name: string): Promise<void> {
    const [facts] = await this.#run<{ version: number; bytes: string }>(
      `SELECT current_setting('server_version_num')::int AS version, pg_database_size($1) AS bytes`,
      [template],
    )
    // Postgres before 15 has no other strategy.
    const isByFile = facts !== undefined && facts.version >= 150_000 && Number(facts.bytes) > COPIED_AS_FILES_BYTES
    const strategy = isByFile ? ' STRATEGY = FILE_COPY' : ''
    await this.#run(`CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE ${escapeIdentifier(template)}${strategy}`)
  }

  async #makeTemplate(template: string, fill: (client: Client, url: string) => Promise<unknown>): Promise<string> {
    const kept = `good_job_bench_kept_${createHash('md5').update(template).digest('hex').slice(0, 12)}`
    if (this.#isKeeping && (await this.#exists(kept))) return kept
    const url = await createDatabase(this.url, { prefix: 'good_job_bench' })
    const name = databaseName(url)
    this.#made.push(name)
    const client = await connect(url)
    await fill(client, url)
    await client.end()
    if (!this.#isKeeping) return name
    // Only completely filled databases are kept.
    await this.#run(`ALTER DATABASE ${escapeIdentifier(name)} RENAME TO ${escapeIdentifier(kept)}`)
    return kept
  }

  async #exists(name: string): Promise<boolean> {
    return (await this.#run('SELECT 1 FROM pg_database WHERE datname = $1', [name])).length > 0
  }

  async #run<R extends QueryResultRow>(statement: string, values: readonly unknown[] = []): Promise<R[]> {
    const client = await connect(withDatabase(this.url, 'postgres'))
    try {
      return (await client.query<R>(statement, [...values])).rows
    } finally {
      await client.end()
    }
  }
}

const connect = async (url: string): Promise<Client> => {
  const client = new Client({ connectionString: url })
  // Dropping a database ends its connections.
  client.on('error', () => {})
  await client.connect()
  return client
}

/** The tables of GoodJob 4.23.1 with every index. */
export const installSchema = async (client: Client): Promise<void> => {
  await client.query(await readFile(new URL('../schema.sql', import.meta.url), 'utf8'))
}
