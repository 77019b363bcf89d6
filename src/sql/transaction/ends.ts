import { type Queryable, rowsOf } from '../connection/queryable.ts'
import { plainArray } from '../text.ts'

/** How a transaction ended; 'ours': it is the transaction of the query. */
export type TransactionEnd = 'committed' | 'aborted' | 'in progress' | 'ours'

/**
 * $1 transactions xid8[]. The server has no status for a transaction that is not below its snapshot. It has forgotten the status of
 * very old ones: if the caller saw their rows, they were committed.
 */
const FIND_ENDS = `
SELECT DISTINCT xid::text AS id,
  CASE
    WHEN xid = pg_current_xact_id_if_assigned() THEN 'ours'
    WHEN xid >= pg_snapshot_xmax(pg_current_snapshot()) THEN 'in progress'
    ELSE coalesce(pg_xact_status(xid), 'committed')
  END AS ended
FROM unnest($1::xid8[]) AS xid`

/** Returns how these transactions ended, by id. */
export const findTransactionEnds = async (
  db: Queryable,
  transactions: readonly string[],
): Promise<ReadonlyMap<string, TransactionEnd>> => {
  if (transactions.length === 0) return new Map()
  const rows = await rowsOf<{ id: string; ended: TransactionEnd }>(db, {
    text: FIND_ENDS,
    values: [plainArray(transactions)],
  })
  return new Map(rows.map(({ id, ended }) => [id, ended]))
}
