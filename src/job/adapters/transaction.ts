import { ConfigurationError } from '../../errors.ts'
import type { CallerTransaction } from './queue-adapter.ts'

/** Fields of pg's Client that other clients do not have. */
interface Described {
  readonly query?: unknown
  readonly totalCount?: unknown
  readonly idleCount?: unknown
  readonly readyForQuery?: unknown
  readonly getTransactionStatus?: unknown
}

const NEEDED =
  'transaction needs a client of pg with an open transaction, or an object with query(text, values) that resolves with { rows, rowCount }'

/** Throws ConfigurationError for a value that cannot be a transaction. `where` names the owner of the option. */
export const assertTransaction: (where: string, transaction: unknown) => asserts transaction is CallerTransaction = (
  where,
  transaction,
) => {
  if (isPool(transaction)) {
    throw new ConfigurationError(
      `${where}: transaction is a pool, which has no open transaction: each of its statements may take another connection. ` +
        'Take one client, const client = await pool.connect(), send BEGIN on it, and pass { transaction: client }',
    )
  }
  const { query } = describe(transaction)
  if (typeof query === 'function') return
  const adapter = ADAPTERS.find(({ isIt }) => isIt(transaction))
  const wayOut = adapter ? `${adapter.name} has no such method; ${adapter.wayOut}` : `got ${kindOf(transaction)}`
  throw new ConfigurationError(`${where}: ${NEEDED}; ${wayOut}`)
}

/**
 * Throws ConfigurationError if the client knows that no transaction is open: its rows would be stored at once, even if the caller rolls
 * back later. There is no check while statements of the caller are queued in the client, because a BEGIN may be among them.
 */
export const assertOpenTransaction = (transaction: CallerTransaction): void => {
  const client: Described = transaction as Described
  if (typeof client.getTransactionStatus !== 'function' || client.readyForQuery !== true) return
  if (client.getTransactionStatus() !== 'I') return
  throw new ConfigurationError(
    'transaction: the client has no open transaction: BEGIN was not sent, or it was committed, rolled back or released before. ' +
      'Send BEGIN first, enqueue, then COMMIT; or leave the option out, and the job is stored at once',
  )
}

/** Throws ConfigurationError for a query result that does not have pg's form. */
export const assertResult = (result: unknown): void => {
  if (typeof result === 'object' && result !== null && Array.isArray((result as { rows?: unknown }).rows)) return
  throw new ConfigurationError(
    `The query of transaction resolved with ${kindOf(result)}, not with { rows, rowCount }: wrap it, e.g. ` +
      '{ query: async (text, values) => { const rows = await yours(text, values); return { rows, rowCount: rows.length } } }. ' +
      'Roll this transaction back',
  )
}

const describe = (value: unknown): Described =>
  (typeof value === 'object' && value !== null) || typeof value === 'function' ? (value as Described) : {}

const isPool = (value: unknown): boolean => {
  const { query, totalCount, idleCount } = describe(value)
  return typeof query === 'function' && typeof totalCount === 'number' && typeof idleCount === 'number'
}

const has = (value: unknown, ...names: readonly string[]): boolean =>
  names.every((name) => (describe(value) as Readonly<Record<string, unknown>>)[name] !== undefined)

/** Transactions of well-known libraries, recognised by the methods that they have in place of `query`. */
const ADAPTERS: readonly { readonly name: string; isIt(value: unknown): boolean; readonly wayOut: string }[] = [
  {
    name: 'a postgres.js transaction',
    isIt: (value) => typeof value === 'function' && has(value, 'unsafe'),
    wayOut:
      'pass { query: async (text, values) => { const rows = await sql.unsafe(text, values); return { rows, rowCount: rows.count } } }',
  },
  {
    name: 'a Prisma transaction',
    isIt: (value) => has(value, '$queryRawUnsafe'),
    wayOut:
      'pass { query: async (text, values = []) => { const rows = await tx.$queryRawUnsafe(text, ...values); return { rows, rowCount: rows.length } } }',
  },
  {
    name: 'a Drizzle transaction',
    isIt: (value) => has(value, 'execute', 'select', 'insert'),
    wayOut:
      'open the transaction on a client of pg: send BEGIN, const tx = drizzle(client), and pass { transaction: client }',
  },
  {
    name: 'a Kysely transaction',
    isIt: (value) => has(value, 'executeQuery', 'selectFrom'),
    wayOut:
      'pass { query: async (text, values) => { const { rows } = await tx.executeQuery(CompiledQuery.raw(text, values)); return { rows, rowCount: rows.length } } }',
  },
]

const kindOf = (value: unknown): string => {
  if (value === null || typeof value === 'boolean' || typeof value === 'undefined') return String(value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'function') return `the function ${value.name || 'without a name'}`
  if (typeof value !== 'object') return `a ${typeof value}`
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== 'Object' && name !== '' ? `a ${name}` : 'an object without query'
}
