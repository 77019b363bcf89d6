import type { ClientConfig } from 'pg'
import type { Connection } from '../sql/connection/connection.ts'
import { Session, type SessionOptions } from '../sql/connection/session.ts'
import type { Database } from '../sql/database.ts'
import type { LaneOptions } from './lane-options.ts'

/** Returns the session of a lane. */
export const laneSession = <C extends Connection>(
  database: Database,
  { sort, ...options }: Pick<LaneOptions, 'sort'> & Omit<SessionOptions<C>, 'config' | 'settings'>,
): Session<C> => new Session({ ...options, config: laneConfig(database), settings: laneSettings(sort) })

/** A response that takes longer counts as a lost connection. */
const ANSWER_TIMEOUT_MS = 20_000

const laneConfig = (database: Database): ClientConfig => ({
  ...database.sessionConfig('GoodJob::Lane'),
  query_timeout: ANSWER_TIMEOUT_MS,
})

/**
 * A plan made while good_jobs was empty reads the whole table for the rest of the session, so sequential scans are disabled. For
 * the order of created_at every plan except a scan of the index in that order is disabled, too. One plan then suits any number of
 * jobs; planning a claim again would take as long as claiming five. No index of a queue ends with the id, which is the last column
 * of the other order.
 */
export const laneSettings = (sort: LaneOptions['sort']) => ({
  TimeZone: 'UTC',
  enable_seqscan: 'off',
  ...(sort === 'created_at' ? INDEX_ORDER_ONLY : { plan_cache_mode: 'force_custom_plan' }),
  jit: 'off',
  // Shorter than the timeout of a response: a claim that waits for a table lock is cancelled, and the session keeps its locks.
  statement_timeout: '15s',
  lock_timeout: '0',
  transaction_timeout: '0',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
})

const INDEX_ORDER_ONLY = {
  enable_bitmapscan: 'off',
  enable_sort: 'off',
  enable_incremental_sort: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  plan_cache_mode: 'force_generic_plan',
}
