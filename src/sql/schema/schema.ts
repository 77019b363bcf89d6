import { readFileSync } from 'node:fs'
import { SchemaError, sqlState } from '../../errors.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'
import { type LiveTable, readTables } from './catalog.ts'
import { compareTables, findVersion3Writer, oldestGoodJob, requiredGaps, type SchemaDifferences } from './report.ts'

/** What the database has beyond GoodJob's first v4 migration; it decides which statements are used. */
export interface Capabilities {
  /** good_jobs.lock_type (GoodJob 4.15.0). */
  readonly hasLockType: boolean
  /** good_job_batches.jobs_finished_at (GoodJob 4.3.0). */
  readonly hasJobsFinishedAt: boolean
  /** The table good_job_concurrency_claims (GoodJob 4.21.0). */
  readonly hasConcurrencyClaims: boolean
  /** index_good_jobs_dequeue_by_queue (GoodJob 4.20.0). */
  readonly hasQueueDequeueIndex: boolean
  /** index_good_jobs_on_discarded (GoodJob 4.18.2). */
  readonly hasDiscardedIndex: boolean
  /** The schema in which search_path finds good_jobs. */
  readonly schema: string
}

/** The result of `good-job schema check`. */
export interface SchemaReport extends SchemaDifferences {
  /** The schema of the tables; without tables, the schemas that search_path names. */
  readonly schema: string
  /** The oldest GoodJob whose migrations make these tables; newer gems work on them too. Undefined without tables. */
  readonly goodJobVersion: string | undefined
  /** Nothing is missing and nothing differs from GoodJob 4.23.1. */
  readonly isCurrent: boolean
  /** Why a worker cannot run on these tables: tables and columns that every GoodJob 4 has. Empty when it can. */
  readonly requiredGaps: readonly string[]
  /** A table schema_migrations exists: the tables belong to a Rails application, which migrates them. */
  readonly isRails: boolean
  /** Evidence of a GoodJob 3 writer, as a sentence. */
  readonly version3Writer: string | undefined
  /** Undefined while a worker cannot run on these tables. */
  readonly capabilities: Capabilities | undefined
}

type Tables = ReadonlyMap<string, LiveTable>

/**
 * Reads what the database has. @throws SchemaError if the tables are absent, or if a table or column is missing that every GoodJob
 * 4 installation has; the text lists them
 */
export const probeCapabilities = async (client: Queryable): Promise<Capabilities> => {
  const tables = await readTables(client)
  const jobs = tables.get('good_jobs')
  if (tables.size === 0) throw new SchemaError(await notInstalledText(client))
  const gaps = requiredGaps(tables)
  if (jobs === undefined || gaps.length > 0) {
    throw new SchemaError(
      `The GoodJob tables in schema "${schemaOf(tables)}" lack ${gaps.join(', ')}, which every GoodJob 4 installation has. ` +
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
  hasDiscardedIndex: jobs.indexes.has('index_good_jobs_on_discarded'),
  schema: jobs.schema,
})

const schemaOf = (tables: Tables): string | undefined => [...tables.values()][0]?.schema

const notInstalledText = async (client: Queryable): Promise<string> => {
  const { database, searchPath } = await whereabouts(client)
  return (
    `Database "${database}" has no GoodJob tables (search_path: ${searchPath}). Install them by ` +
    '"good-job schema install", or in a Rails application by "bin/rails g good_job:install && bin/rails db:migrate".'
  )
}

const whereabouts = async (client: Queryable): Promise<{ database: string; searchPath: string }> => {
  const [row] = await rowsOf<{ database: string; searchPath: string }>(client, {
    text: `SELECT current_database() AS database, current_setting('search_path') AS "searchPath"`,
  })
  return row ?? { database: '', searchPath: '' }
}

/** Compares the tables of this database with those of GoodJob 4.23.1; changes nothing. */
export const checkSchema = async (client: Queryable): Promise<SchemaReport> => {
  const tables = await readTables(client)
  const jobs = tables.get('good_jobs')
  const differences = compareTables(tables)
  const gaps = requiredGaps(tables)
  const canWork = jobs !== undefined && gaps.length === 0
  return {
    ...differences,
    schema: schemaOf(tables) ?? (await whereabouts(client)).searchPath,
    goodJobVersion: oldestGoodJob(tables),
    isCurrent: differenceTexts(differences).length === 0,
    requiredGaps: gaps,
    isRails: await hasSchemaMigrations(client),
    version3Writer: canWork ? await findVersion3Writer(client) : undefined,
    capabilities: canWork ? capabilitiesOf(tables, jobs) : undefined,
  }
}

const differenceTexts = (differences: SchemaDifferences): string[] => [
  ...differences.missingTables.map((name) => `the table ${name} is missing`),
  ...differences.missingColumns.map((name) => `the column ${name} is missing`),
  ...differences.missingIndexes.map((name) => `the index ${name} is missing`),
  ...differences.changed,
]

const hasSchemaMigrations = async (client: Queryable): Promise<boolean> => {
  const [row] = await rowsOf<{ is_there: boolean }>(client, {
    text: `SELECT to_regclass('schema_migrations') IS NOT NULL AS is_there`,
  })
  return row?.is_there ?? false
}

/**
 * Creates the tables of schema.sql, all or none of them, in the first schema of search_path.
 *
 * Existing tables are never changed, whoever created them. If they equal schema.sql there is nothing to do. If anything is missing
 * or different, their owner has to migrate them, and SchemaError explains what and how.
 * @throws SchemaError also if search_path names no schema in which tables could be created
 */
export const installSchema = async (
  client: Queryable,
): Promise<{ schema: string | undefined; installed: string[]; existing: string[] }> => {
  const before = await readTables(client)
  if (before.size > 0) {
    await refuseDifferences(client, before)
    return { schema: schemaOf(before), installed: [], existing: [...before.keys()] }
  }
  await createTables(client)
  const after = await readTables(client)
  await refuseDifferences(client, after)
  return { schema: schemaOf(after), installed: [...after.keys()], existing: [] }
}

const refuseDifferences = async (client: Queryable, tables: Tables): Promise<void> => {
  const texts = differenceTexts(compareTables(tables))
  if (texts.length === 0) return
  const owner = (await hasSchemaMigrations(client))
    ? 'They belong to a Rails application (the table schema_migrations is there), whose own migrations change them: ' +
      'run "bin/rails g good_job:update && bin/rails db:migrate" in it.'
    : 'Whoever made them must change them; or choose an empty schema through search_path.'
  const work = requiredGaps(tables).length === 0 ? ' A worker runs on them as they are.' : ''
  throw new SchemaError(
    `Nothing was installed: schema "${schemaOf(tables)}" has GoodJob tables that differ from those of GoodJob 4.23.1: ` +
      `${texts.join('; ')}. ${owner}${work}`,
  )
}

// For two concurrent installations: IF NOT EXISTS does not save the second one from a unique violation in the catalogue.
const LOCK_INSTALLATION = `SELECT pg_advisory_xact_lock(hashtextextended('good-job-node schema install', 0))`

const createTables = async (client: Queryable): Promise<void> => {
  try {
    // Several statements in one query are one transaction, on a pool too.
    await client.query({ text: `${LOCK_INSTALLATION};\n${printSchema()}` })
  } catch (error) {
    if (sqlState(error) !== NO_SCHEMA_SELECTED) throw error
    const { searchPath } = await whereabouts(client)
    throw new SchemaError(`search_path names no schema that exists: ${searchPath}. Create the schema first.`, {
      cause: error,
    })
  }
}

const NO_SCHEMA_SELECTED = '3F000'

/** The text of schema.sql: plain SQL, idempotent, for psql or a migration tool. */
export const printSchema = (): string => readFileSync(new URL('../../../schema.sql', import.meta.url), 'utf8')
