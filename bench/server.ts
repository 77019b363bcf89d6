import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Client, escapeIdentifier } from 'pg'
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

/** What the report says about the server, whoever configured it. */
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

  /** A new database that looks as `fill` left the first one of this name; `fill` runs once. */
  async database(template: string, fill: (client: Client, url: string) => Promise<unknown>): Promise<BenchDatabase> {
    const made = this.#templates.get(template) ?? this.#makeTemplate(template, fill)
    this.#templates.set(template, made)
    const url = await createDatabase(this.url, { prefix: 'good_job_bench', template: await made })
    this.#made.push(databaseName(url))
    const client = await connect(url)
    return {
      url,
      client,
      drop: async () => {
        await client.end()
        await dropDatabase(this.url, databaseName(url))
      },
    }
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
    // Only what was filled to the end is kept.
    await this.#run(`ALTER DATABASE ${escapeIdentifier(name)} RENAME TO ${escapeIdentifier(kept)}`)
    return kept
  }

  async #exists(name: string): Promise<boolean> {
    const client = await connect(this.url)
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name])
    await client.end()
    return rowCount !== 0
  }

  async #run(statement: string): Promise<void> {
    const client = await connect(withDatabase(this.url, 'postgres'))
    await client.query(statement)
    await client.end()
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
