import type { ClientBase } from 'pg'
import { vectors } from './vectors.ts'

/** A GoodJob version whose tables are recorded in the vectors. */
export const SCHEMA_VERSIONS = ['4.0.0', '4.9.3', '4.14.2', '4.19.2', '4.20.0', '4.23.1'] as const
export type SchemaVersion = (typeof SCHEMA_VERSIONS)[number]

interface VectorTable {
  readonly primary_key: { readonly name: string; readonly columns: readonly string[] }
  readonly column_order: readonly string[]
  readonly columns: Readonly<Record<string, { type: string; nullable: boolean; default: string | null }>>
  readonly indexes: Readonly<Record<string, { unique: boolean; predicate: string | null; definition: string }>>
}

type VectorTables = Readonly<Record<string, VectorTable>>

/** The tables that the install migration of this GoodJob version makes. */
export const readVectorTables = (version: SchemaVersion): VectorTables =>
  vectors<{ tables: VectorTables }>(`schema-${version}.json`).tables

/** Creates the tables of this GoodJob version in the public schema. */
export const installVectorSchema = async (client: ClientBase, version: SchemaVersion): Promise<void> => {
  for (const [name, table] of Object.entries(readVectorTables(version))) {
    const columns = table.column_order.map((column) => {
      const facts = table.columns[column]
      return `${column} ${facts?.type}${facts?.nullable ? '' : ' NOT NULL'}${facts?.default ? ` DEFAULT ${facts.default}` : ''}`
    })
    const key = `CONSTRAINT ${table.primary_key.name} PRIMARY KEY (${table.primary_key.columns.join(', ')})`
    await client.query(`CREATE TABLE public.${name} (${[...columns, key].join(', ')})`)
    for (const index of Object.values(table.indexes)) await client.query(index.definition)
  }
}

/** $1 schema text. Written apart from the statements under test. */
const SELECT_TABLES = `
  SELECT
    pg_class.relname AS name,
    jsonb_build_object(
      'primary_key', (
        SELECT jsonb_build_object(
          'name', pg_constraint.conname,
          'columns', (
            SELECT jsonb_agg(attname ORDER BY ordinality)
            FROM unnest(pg_constraint.conkey) WITH ORDINALITY AS part (attnum, ordinality)
            JOIN pg_attribute USING (attnum)
            WHERE attrelid = pg_class.oid
          )
        )
        FROM pg_constraint
        WHERE conrelid = pg_class.oid AND contype = 'p'
      ),
      'column_order', (
        SELECT jsonb_agg(column_name ORDER BY ordinal_position)
        FROM information_schema.columns
        WHERE table_schema = $1 AND table_name = pg_class.relname
      ),
      'columns', (
        SELECT jsonb_object_agg(attname, jsonb_build_object(
          'type', format_type(atttypid, atttypmod),
          'nullable', NOT attnotnull,
          'default', (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum)
        ))
        FROM pg_attribute
        WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
      ),
      'indexes', coalesce((
        SELECT jsonb_object_agg(index_class.relname, jsonb_build_object(
          'unique', indisunique,
          'predicate', pg_get_expr(indpred, indrelid),
          'definition', replace(pg_get_indexdef(indexrelid), ' ON ' || $1 || '.', ' ON public.')
        ))
        FROM pg_index
        JOIN pg_class AS index_class ON index_class.oid = indexrelid
        WHERE indrelid = pg_class.oid AND NOT indisprimary
      ), '{}'::jsonb)
    ) AS facts
  FROM pg_class
  WHERE relkind = 'r' AND relnamespace = $1::regnamespace`

/** Every table of a schema in the form of the vectors. */
export const readTables = async (client: ClientBase, schema = 'public'): Promise<VectorTables> => {
  const { rows } = await client.query<{ name: string; facts: VectorTable }>(SELECT_TABLES, [schema])
  return Object.fromEntries(rows.map(({ name, facts }) => [name, facts]))
}
