import type { Client, ClientConfig } from 'pg'
import type { Database } from '../sql/database.ts'
import { RoundClient } from '../sql/round-client.ts'
import { Session } from '../sql/session.ts'

/** The session of a lane; one that holds rounds of deferred starts has its connection in a thread. */
export const laneSession = (
  database: Database,
  options: { readonly holdsRounds: boolean; readonly onLost: (error: Error | undefined) => void },
): Session =>
  new Session({
    config: laneConfig(database),
    ...(options.holdsRounds && { createClient: newRoundClient }),
    settings: LANE_SETTINGS,
    onLost: options.onLost,
  })

/** Asks the client of a session that holds rounds. */
export const onRoundClient = <T>(session: Session, work: (client: RoundClient) => Promise<T>): Promise<T> =>
  session.use((client) => work(client as unknown as RoundClient))

/** An answer that takes longer is taken for a lost connection. */
const ANSWER_TIMEOUT_MS = 20_000

const newRoundClient = (config: ClientConfig): Client => new RoundClient(config) as unknown as Client

const laneConfig = (database: Database): ClientConfig => ({
  ...database.sessionConfig('GoodJob::Lane'),
  query_timeout: ANSWER_TIMEOUT_MS,
})

/**
 * A plan made while good_jobs was empty reads the whole table for the rest of the session, so scans are ruled out; the claim is
 * planned anew each time because the best index depends on the queue and on how many foreign jobs wait in front.
 */
const LANE_SETTINGS = {
  TimeZone: 'UTC',
  enable_seqscan: 'off',
  plan_cache_mode: 'force_custom_plan',
  jit: 'off',
  // Shorter than our patience: a claim that waits for a table lock is cancelled and keeps the session with its locks.
  statement_timeout: '15s',
  lock_timeout: '0',
  transaction_timeout: '0',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
}
