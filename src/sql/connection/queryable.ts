import type { CustomTypesConfig, QueryResult, QueryResultRow } from 'pg'
import pg from 'pg'
import type { CallerTransaction } from '../../job/adapters/queue-adapter.ts'
import { assertOpenTransaction, assertResult, assertTransaction } from '../../job/adapters/transaction.ts'

/** A statement with its values; `name` makes the server prepare it once per connection. */
export interface Statement {
  readonly text: string
  readonly values?: readonly unknown[]
  readonly name?: string
}

/** A statement, and how its rows are read. */
export interface QueryableStatement extends Statement {
  /** @default the types of the client */
  readonly types?: CustomTypesConfig
}

/** What every statement function requires: pg's Pool, Client and PoolClient, a `Connection`, or a `Session`. */
export interface Queryable {
  /** The server process of a connection, as far as the client knows it; `isPooled` compares it with the one that responds. */
  readonly processID?: number | null
  query<R extends QueryResultRow = QueryResultRow>(statement: QueryableStatement): Promise<QueryResult<R>>
}

const transactions = new WeakMap<CallerTransaction, Queryable>()

/**
 * Wraps a transaction of the caller. Its client is called with text and values, as its type declares: it may belong to another
 * library. So nothing is prepared on it, and values arrive as its own parsers read them: statements sent here return text, integers
 * and booleans only.
 * @throws ConfigurationError for anything other than a client with an open transaction, as far as that can be known
 */
export const queryableOf = (transaction: CallerTransaction): Queryable => {
  assertTransaction('enqueue', transaction)
  assertOpenTransaction(transaction)
  const known = transactions.get(transaction)
  if (known) return known
  const queryable = {
    // For `isPooled`.
    processID: (transaction as { readonly processID?: number | null }).processID,
    query: async ({ text, values = [] }: QueryableStatement) => {
      const result: unknown = await transaction.query(text, [...values])
      assertResult(result)
      return result
    },
  } as unknown as Queryable
  transactions.set(transaction, queryable)
  return queryable
}

const TIMESTAMP = 1114
const TIMESTAMPTZ = 1184
const JSON_OID = 114
const JSONB = 3802

/** `2026-01-31 12:00:00.1` or `…+00` as Postgres prints it, to ISO 8601 in UTC with microseconds kept. */
export const isoText = (text: string): string => {
  if (isZoneless(text)) return `${text.slice(0, 10)}T${text.slice(11)}Z`
  // These values have no ISO 8601 form; Postgres reads its own text.
  if (text.includes('infinity') || text.endsWith('BC')) return text
  const zone = /([+-])(\d{2})(?::?(\d{2}))?$/.exec(text)
  const local = (zone ? text.slice(0, zone.index) : text).replace(' ', 'T')
  if (!zone || (zone[2] === '00' && (zone[3] ?? '00') === '00')) return `${local}Z`
  const fraction = /\.\d+$/.exec(local)?.[0] ?? ''
  const whole = new Date(`${local.slice(0, local.length - fraction.length)}${zone[1]}${zone[2]}:${zone[3] ?? '00'}`)
  return `${whole.toISOString().slice(0, 19)}${fraction}Z`
}

/** `YYYY-MM-DD HH:MM:SS`, perhaps with a fraction: the form in nearly every row. */
const isZoneless = (text: string): boolean =>
  text.charCodeAt(10) === SPACE &&
  (text.length === 19 || (text.charCodeAt(19) === POINT && !/[^\d]/.test(text.slice(20))))

const SPACE = 32
const POINT = 46

const raw = (text: string) => text

/** Timestamps are read as ISO text (microseconds survive), JSON as the server's text (numbers survive). */
export const rowTypes: CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => {
    if (oid === TIMESTAMP || oid === TIMESTAMPTZ) return isoText
    if (oid === JSON_OID || oid === JSONB) return raw
    return pg.types.getTypeParser(oid, format as 'text')
  },
} as CustomTypesConfig

/** Sends one statement and returns its rows, typed by the caller. */
export const rowsOf = async <R extends QueryResultRow>(db: Queryable, statement: Statement): Promise<R[]> => {
  const result = await db.query<R>({ ...statement, types: rowTypes })
  return result.rows
}

/** Sends one statement and returns how many rows it affected. */
export const countOf = async (db: Queryable, statement: Statement): Promise<number> => {
  const result = await db.query({ ...statement, types: rowTypes })
  return result.rowCount ?? 0
}

/**
 * Sends several statements as one message and returns the rows of each. Values are written into the text, so every value has to be
 * escaped (`pg.escapeLiteral`). Without BEGIN they are one transaction.
 */
export const rowsOfEach = async <R extends QueryResultRow>(db: Queryable, texts: readonly string[]): Promise<R[][]> => {
  const results: QueryResult<R> | readonly QueryResult<R>[] = await db.query<R>({
    text: texts.join(';\n'),
    types: rowTypes,
  })
  return [results].flat().map(({ rows }) => rows)
}
