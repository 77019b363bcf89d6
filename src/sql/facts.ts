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
  /** Reads the facts on the pool, for everybody. */
  readonly readForAll: () => Promise<Facts>
}

/**
 * The facts for a statement inside a transaction of the caller's. That transaction may be aborted, wait for a lock, or have a search_path of
 * its own, so what it says is not said to anybody else: the pool is asked. A pool of the caller's may have no other connection than
 * the one this transaction has; then the transaction is asked, for itself.
 */
export const callersFacts = async (
  transaction: Queryable,
  { pool, isOwnPool, readForAll }: CallersFactsOptions,
): Promise<Facts> => {
  if (!isOwnPool && !canLend(pool)) return readInside(transaction)
  try {
    return await readForAll()
  } catch (error) {
    // A server without room for one more connection still serves the one that the caller has.
    return readInside(transaction).catch(() => {
      throw error
    })
  }
}

const canLend = ({ options, totalCount, idleCount, waitingCount }: Pool): boolean =>
  waitingCount === 0 && (idleCount > 0 || totalCount < options.max)

const known = new WeakMap<Queryable, Facts>()

/** Once for each connection: such a pool may be all that a process has. */
const readInside = async (transaction: Queryable): Promise<Facts> => {
  const facts = known.get(transaction) ?? (await readFacts(transaction))
  known.set(transaction, facts)
  return facts
}
