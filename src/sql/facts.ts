import type { Pool } from 'pg'
import { isPooled } from './connection/pooler.ts'
import { type Queryable, rowsOf } from './connection/queryable.ts'
import type { Facts } from './database.ts'
import { probeCapabilities } from './schema/schema.ts'

/** Reads the facts on one connection. @throws SchemaError */
export const readFacts = async (db: Queryable): Promise<Facts> => {
  const capabilities = await probeCapabilities(db)
  const rows = await rowsOf<{ data_type: string; pid: number }>(db, {
    text: SCHEDULED_AT_TYPE,
    values: [capabilities.schema],
  })
  const isZoned = rows[0]?.data_type === 'timestamp with time zone'
  return {
    ...capabilities,
    timestampType: isZoned ? 'timestamptz' : 'timestamp',
    isPooled: isPooled(db, rows[0]?.pid ?? 0),
  }
}

/** $1 schema text. Rails may be configured to create timestamptz columns. */
const SCHEDULED_AT_TYPE = `
SELECT data_type, pg_backend_pid() AS pid
FROM information_schema.columns
WHERE table_schema = $1 AND table_name = 'good_jobs' AND column_name = 'scheduled_at'`

interface CallersFactsOptions {
  readonly pool: Pool
  readonly isOwnPool: boolean
  /** Reads the facts on the pool; all callers share the result. */
  readonly readForAll: () => Promise<Facts>
}

/**
 * Returns the facts for a statement inside a transaction of the caller. That transaction may be aborted, wait for a lock, or have a
 * search_path of its own, so facts read in it must not be shared: the pool is queried instead. The caller's pool may have no
 * connection besides that of this transaction. Then the facts are read inside the transaction and used for it alone.
 */
export const callersFacts = async (
  transaction: Queryable,
  { pool, isOwnPool, readForAll }: CallersFactsOptions,
): Promise<Facts> => {
  if (!isOwnPool && !canLend(pool)) return readInside(transaction)
  try {
    return await readForAll()
  } catch (error) {
    // A server that accepts no further connection still serves the connection that the caller has.
    return readInside(transaction).catch(() => {
      throw error
    })
  }
}

const canLend = ({ options, totalCount, idleCount, waitingCount }: Pool): boolean =>
  waitingCount === 0 && (idleCount > 0 || totalCount < options.max)

const known = new WeakMap<Queryable, Facts>()

/** Read once for each connection: a pool of one connection may be all that the process has. */
const readInside = async (transaction: Queryable): Promise<Facts> => {
  const facts = known.get(transaction) ?? (await readFacts(transaction))
  known.set(transaction, facts)
  return facts
}
