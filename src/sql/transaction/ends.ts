import { type Queryable, rowsOf } from '../connection/queryable.ts'
import { plainArray } from '../text.ts'

/** How a transaction ended, or 'ours': it is the one that asks. */
export type TransactionEnd = 'committed' | 'aborted' | 'in progress' | 'ours'

/**
 * $1 transactions xid8[]. The server knows no status of one that is not below its snapshot, and forgets those of long ago, whose rows
 * were there if any are.
 */
const FIND_ENDS = `
SELECT DISTINCT xid::text AS id,
  CASE
    WHEN xid = pg_current_xact_id_if_assigned() THEN 'ours'
    WHEN xid >= pg_snapshot_xmax(pg_current_snapshot()) THEN 'in progress'
    ELSE coalesce(pg_xact_status(xid), 'committed')
  END AS ended
FROM unnest($1::xid8[]) AS xid`

/** How these transactions ended, by their names. */
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
