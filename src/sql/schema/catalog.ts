import { type Queryable, rowsOf } from '../connection/queryable.ts'
import { GOOD_JOB_TABLES } from './tables.ts'

/** One of GoodJob's tables as the database has it. */
export interface LiveTable {
  /** Schema in which search_path finds the table. */
  readonly schema: string
  /** Column → type, NOT NULL and default, written as in tables.ts. */
  readonly columns: ReadonlyMap<string, string>
  /** Index → definition, written as in tables.ts; an invalid index (a failed CONCURRENTLY build) is left out. */
  readonly indexes: ReadonlyMap<string, string>
}

interface ColumnRow {
  readonly table_name: string
  readonly schema_name: string
  readonly column_name: string
  readonly definition: string
}

/** $1 table names text[] */
const SELECT_COLUMNS = `
  SELECT
    wanted.name AS table_name,
    pg_namespace.nspname AS schema_name,
    pg_attribute.attname AS column_name,
    replace(format_type(pg_attribute.atttypid, pg_attribute.atttypmod), ' without time zone', '')
      || CASE WHEN pg_attribute.attnotnull THEN ' NOT NULL' ELSE '' END
      || coalesce(' DEFAULT ' || pg_get_expr(pg_attrdef.adbin, pg_attrdef.adrelid), '') AS definition
  FROM unnest($1::text[]) AS wanted (name)
  JOIN pg_class ON pg_class.oid = to_regclass(wanted.name)
  JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace
  JOIN pg_attribute
    ON pg_attribute.attrelid = pg_class.oid
    AND pg_attribute.attnum > 0
    AND NOT pg_attribute.attisdropped
  LEFT JOIN pg_attrdef
    ON pg_attrdef.adrelid = pg_attribute.attrelid
    AND pg_attrdef.adnum = pg_attribute.attnum
  ORDER BY pg_class.oid, pg_attribute.attnum`

interface IndexRow {
  readonly table_name: string
  readonly index_name: string
  readonly is_unique: boolean
  readonly definition: string
}

/** $1 table names text[] */
const SELECT_INDEXES = `
  SELECT
    wanted.name AS table_name,
    pg_class.relname AS index_name,
    pg_index.indisunique AS is_unique,
    pg_get_indexdef(pg_index.indexrelid) AS definition
  FROM unnest($1::text[]) AS wanted (name)
  JOIN pg_index ON pg_index.indrelid = to_regclass(wanted.name)
  JOIN pg_class ON pg_class.oid = pg_index.indexrelid
  WHERE NOT pg_index.indisprimary
  AND pg_index.indisvalid`

/** GoodJob's tables as the database has them, by name; a table that search_path does not find is left out. */
export const readTables = async (client: Queryable): Promise<ReadonlyMap<string, LiveTable>> => {
  const names = Object.keys(GOOD_JOB_TABLES)
  const columns = await rowsOf<ColumnRow>(client, { text: SELECT_COLUMNS, values: [names] })
  const indexes = await rowsOf<IndexRow>(client, { text: SELECT_INDEXES, values: [names] })
  const tables = new Map<string, LiveTable & { columns: Map<string, string>; indexes: Map<string, string> }>()
  for (const row of columns) {
    const table = tables.get(row.table_name) ?? { schema: row.schema_name, columns: new Map(), indexes: new Map() }
    tables.set(row.table_name, table)
    table.columns.set(row.column_name, row.definition)
  }
  for (const row of indexes) {
    const method = row.definition.slice(row.definition.indexOf(' USING ') + ' USING '.length)
    tables.get(row.table_name)?.indexes.set(row.index_name, row.is_unique ? `UNIQUE ${method}` : method)
  }
  return tables
}
