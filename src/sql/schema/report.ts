import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { LiveTable } from './catalog.ts'
import { GOOD_JOB_TABLES, LATER_COLUMNS } from './tables.ts'

/** Live tables compared with those of GoodJob 4.23.1. Names are `table.column`; extra columns and indexes do not count. */
export interface SchemaDifferences {
  readonly missingTables: readonly string[]
  /** Missing columns of tables that exist. */
  readonly missingColumns: readonly string[]
  /** Missing indexes of tables that exist. */
  readonly missingIndexes: readonly string[]
  /** Columns and indexes with the right name and another definition, with both definitions. */
  readonly changed: readonly string[]
}

type Tables = ReadonlyMap<string, LiveTable>

/** Returns what GoodJob 4.23.1 installs and these tables lack. */
export const compareTables = (tables: Tables): SchemaDifferences => {
  const missingTables: string[] = []
  const missingColumns: string[] = []
  const missingIndexes: string[] = []
  const changed: string[] = []
  for (const [name, facts] of Object.entries(GOOD_JOB_TABLES)) {
    const table = tables.get(name)
    if (table === undefined) {
      missingTables.push(name)
      continue
    }
    for (const [column, wanted] of Object.entries(facts.columns)) {
      const live = table.columns.get(column)
      if (live === undefined) missingColumns.push(`${name}.${column}`)
      else if (comparable(live) !== comparable(wanted)) changed.push(`${name}.${column} is ${live}, not ${wanted}`)
    }
    for (const [index, [, wanted]] of Object.entries(facts.indexes)) {
      const live = table.indexes.get(index)
      if (live === undefined) missingIndexes.push(index)
      else if (live !== wanted) changed.push(`${index} is ${live}, not ${wanted}`)
    }
  }
  return { missingTables, missingColumns, missingIndexes, changed }
}

/**
 * A column without the parts in which Rails applications may differ: an application may keep its times in timestamptz, Rails
 * 6.1 declares no precision, and the default of an id may come from another extension.
 */
const comparable = (definition: string): string =>
  definition.replace(/ DEFAULT .*$/, '').replace(/^timestamp(\(\d\))?( with time zone)?/, 'timestamp')

/** Missing tables and columns of GoodJob's first v4 migration; no worker runs without them. */
export const requiredGaps = (tables: Tables): string[] => {
  const { missingTables, missingColumns } = compareTables(tables)
  return [
    ...missingTables.filter((name) => GOOD_JOB_TABLES[name]?.since === '4.0.0').map((name) => `the table ${name}`),
    ...missingColumns.filter(
      (column) => !(column in LATER_COLUMNS) && !column.startsWith('good_job_concurrency_claims.'),
    ),
  ]
}

/** The oldest GoodJob whose migrations create these tables; undefined without tables. Version 3 created the tables of 4.0.0. */
export const oldestGoodJob = (tables: Tables): string | undefined => {
  if (!tables.has('good_jobs')) return undefined
  const { missingTables, missingColumns, missingIndexes, changed } = compareTables(tables)
  const absent = new Set([...missingTables, ...missingColumns, ...missingIndexes])
  const isThere = (name: string) => !absent.has(name) && !changed.some((text) => text.startsWith(`${name} is `))
  const versions = Object.entries(GOOD_JOB_TABLES).flatMap(([name, facts]) =>
    tables.has(name)
      ? [facts.since, ...Object.entries(facts.indexes).flatMap(([index, [since]]) => (isThere(index) ? [since] : []))]
      : [],
  )
  const later = Object.entries(LATER_COLUMNS).flatMap(([column, since]) =>
    tables.has(tableOf(column)) && isThere(column) ? [since] : [],
  )
  return [...versions, ...later].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
}

const tableOf = (column: string): string => column.slice(0, column.indexOf('.'))

/** $1 rows to read integer · $2 only is_discrete rows created after this time timestamptz */
const SELECT_VERSION_3_ROW = `
  WITH unfinished AS (
    SELECT id, is_discrete, retried_good_job_id, created_at
    FROM good_jobs
    WHERE finished_at IS NULL
    LIMIT $1
  )
  SELECT
    id,
    is_discrete,
    retried_good_job_id IS NOT NULL AS is_retried
  FROM unfinished
  WHERE is_discrete = FALSE
  OR retried_good_job_id IS NOT NULL
  OR (is_discrete AND created_at::timestamptz > $2::timestamptz)
  LIMIT 1`

/** Unfinished rows to read: a backlog of millions must not delay a start. */
const ROWS_TO_LOOK_AT = 10_000

/**
 * Evidence that a GoodJob 3 worker or client writes to these tables, as a sentence; undefined without any. Rows with
 * `is_discrete` may be left from before an upgrade, so they only count when created after `since` (default: never).
 * `since` asks for a session whose TimeZone is UTC.
 */
export const findVersion3Writer = async (client: Queryable, since?: Date): Promise<string | undefined> => {
  const [row] = await rowsOf<{ id: string; is_discrete: boolean | null; is_retried: boolean }>(client, {
    text: SELECT_VERSION_3_ROW,
    values: [ROWS_TO_LOOK_AT, since?.toISOString() ?? 'infinity'],
  })
  if (row === undefined) return undefined
  const sign = row.is_retried ? 'retried_good_job_id is set' : `is_discrete is ${row.is_discrete}`
  return (
    `The unfinished job ${row.id} was written by GoodJob 3 (${sign}), whose rows mean something else. ` +
    'Upgrade every Rails process to GoodJob 4 and let the old jobs finish first.'
  )
}
