import { SchemaError } from '../errors.ts'
import { type LiveTable, readTables, type SchemaClient } from './schema-catalog.ts'
import { GOOD_JOB_TABLES, LATER_COLUMNS } from './schema-tables.ts'

/** What the database offers beyond GoodJob's first v4 migration; decides which statements are used. */
export interface Capabilities {
  /** good_jobs.lock_type (GoodJob 4.15.0). */
  readonly hasLockType: boolean
  /** good_job_batches.jobs_finished_at (GoodJob 4.3.0). */
  readonly hasJobsFinishedAt: boolean
  /** The table good_job_concurrency_claims (GoodJob 4.21.0). */
  readonly hasConcurrencyClaims: boolean
  /** index_good_jobs_dequeue_by_queue (GoodJob 4.20.0). */
  readonly hasQueueDequeueIndex: boolean
  /** The schema in which search_path finds good_jobs. */
  readonly schema: string
}

type Tables = ReadonlyMap<string, LiveTable>

/**
 * Reads what the database offers. Throws SchemaError when the tables are absent, or when a table or column is missing that
 * every GoodJob 4 installation has; the text lists them.
 */
export const probeCapabilities = async (client: SchemaClient): Promise<Capabilities> => {
  const tables = await readTables(client)
  const jobs = tables.get('good_jobs')
  if (jobs === undefined) throw new SchemaError(await notInstalledText(client))
  const gaps = requiredGaps(tables)
  if (gaps.length > 0) {
    throw new SchemaError(
      `The GoodJob tables in schema "${jobs.schema}" lack ${gaps.join(', ')}, which every GoodJob 4 installation has. ` +
        'Run the pending GoodJob migrations of the Rails application, or point DATABASE_URL at the right database.',
    )
  }
  return capabilitiesOf(tables, jobs)
}

const capabilitiesOf = (tables: Tables, jobs: LiveTable): Capabilities => ({
  hasLockType: jobs.columns.has('lock_type'),
  hasJobsFinishedAt: tables.get('good_job_batches')?.columns.has('jobs_finished_at') ?? false,
  hasConcurrencyClaims: tables.has('good_job_concurrency_claims'),
  hasQueueDequeueIndex: jobs.indexes.has('index_good_jobs_dequeue_by_queue'),
  schema: jobs.schema,
})

/** Tables and columns of GoodJob's first v4 migration that are not there. */
const requiredGaps = (tables: Tables): string[] =>
  Object.entries(GOOD_JOB_TABLES)
    .filter(([, facts]) => facts.since === '4.0.0')
    .flatMap(([name, facts]) => {
      const table = tables.get(name)
      if (table === undefined) return [`the table ${name}`]
      return Object.keys(facts.columns)
        .map((column) => `${name}.${column}`)
        .filter((column) => !(column in LATER_COLUMNS) && !table.columns.has(column.slice(name.length + 1)))
    })

const notInstalledText = async (client: SchemaClient): Promise<string> => {
  const { rows } = await client.query(
    `SELECT current_database() AS database, current_setting('search_path') AS search_path`,
  )
  const [row] = rows as { database: string; search_path: string }[]
  return (
    `Database "${row?.database}" has no GoodJob tables (search_path: ${row?.search_path}). ` +
    'Install them by "good-job schema install", or in a Rails application by "bin/rails g good_job:install && bin/rails db:migrate".'
  )
}
