import type { Client, ClientConfig } from 'pg'
import { endsSession, mayConcernRow, sqlState } from '../errors.ts'
import type { Released } from '../sql/advisory-lock.ts'
import { type ClaimOptions, reacquire, releaseUnknownClaims } from '../sql/claim/claim.ts'
import type { Statement } from '../sql/connection/queryable.ts'
import { Session } from '../sql/connection/session.ts'
import type { Database, Facts } from '../sql/database.ts'
import { RoundClient, type RoundEnd } from '../sql/deferred/round-client.ts'
import { type LockedRow, lockCandidates, startLockedJobs } from '../sql/deferred/statements.ts'
import { backoffMs, sleep } from '../time.ts'
import { LANE_LIMITS } from './lane-limits.ts'
import type { HeldClaim, LaneOptions } from './lane-options.ts'

/** The session of a lane; one that holds rounds of deferred starts has its connection in a thread. */
export const laneSession = (
  database: Database,
  options: Pick<LaneOptions, 'sort'> & {
    readonly holdsRounds: boolean
    readonly onLost: (error: Error | undefined) => void
  },
): Session =>
  new Session({
    config: laneConfig(database),
    ...(options.holdsRounds && { createClient: newRoundClient }),
    settings: laneSettings(options.sort),
    onLost: options.onLost,
  })

/** Asks the client of a session that holds rounds. */
const onRoundClient = <T>(session: Session, work: (client: RoundClient) => Promise<T>): Promise<T> =>
  session.use((client) => work(client as unknown as RoundClient))

/** Locks jobs in a transaction that stays open; the thread ends it when the event loop is blocked for too long. */
export const openRound = (
  session: Session,
  facts: Facts,
  options: ClaimOptions,
  deferStartMs: number,
): Promise<(LockedRow & Released)[]> =>
  onRoundClient(session, (client) => {
    const limitMs = Math.max(LANE_LIMITS.minRoundMs, LANE_LIMITS.roundFactor * deferStartMs)
    return client.open(lockCandidates(facts, options), startLockedJobs(facts, options), limitMs)
  })

/**
 * Writes what a round has brought. Jobs that can be neither written nor started (a full disk) are started as soon as they can be: the
 * session has their advisory locks. Undefined when that session ended or Postgres refuses them: nobody knows whose they are, and the recovery
 * of the lane finds out.
 */
export const closeRound = async (
  session: Session,
  statements: readonly Statement[],
  { sessionEnd, onUnstarted }: { readonly sessionEnd: AbortSignal; readonly onUnstarted: Unstarted },
): Promise<RoundEnd | undefined> => {
  for (let attempt = 1; !sessionEnd.aborted; attempt++) {
    try {
      return await untilEnd(
        onRoundClient(session, (client) => client.close(statements)),
        sessionEnd,
      )
    } catch (error) {
      if (sqlState(error) === undefined || endsSession(error) || mayConcernRow(error)) {
        session.abandon(error as Error, sessionEnd)
        break
      }
      onUnstarted(error, attempt)
      await sleep(backoffMs(attempt), sessionEnd)
    }
  }
  return undefined
}

/** Undefined as soon as the session ends: the recovery that begins then must know of what has no answer. */
const untilEnd = <T>(answer: Promise<T>, sessionEnd: AbortSignal): Promise<T | undefined> =>
  new Promise((resolve, reject) => {
    const end = () => resolve(undefined)
    sessionEnd.addEventListener('abort', end, { once: true })
    answer.then(resolve, reject).finally(() => sessionEnd.removeEventListener('abort', end))
  })

/** A round that nobody closes would be in the way of every later one: when `work` throws, its connection goes. */
export const orAbandon = async <T>(session: Session, work: () => Promise<T>): Promise<T> => {
  const { end } = session
  try {
    return await work()
  } catch (error) {
    session.abandon(error as Error, end)
    throw error
  }
}

/** Gives up the session that ends with `sessionEnd`, as its locks are in doubt; first the answer comes for what it may be writing. */
export const leave = async (session: Session, sessionEnd: AbortSignal): Promise<void> => {
  if (sessionEnd.aborted) return
  await session.proveAlive(LANE_LIMITS.aliveAnswerMs).catch(() => undefined)
  if (!sessionEnd.aborted) session.abandon(new Error('advisory locks of this session were missing'), sessionEnd)
}

/**
 * On a session that was opened in the place of a lost one: takes the locks of these claims again, and frees jobs of claims whose answer was
 * lost, unless an attempt runs them. Answers the ids of the claims that are still ours.
 */
export const takeBack = async (
  session: Session,
  claims: readonly HeldClaim[],
  {
    database,
    processId,
    takeUncertain,
    putBack,
    knownIds,
  }: Pick<LaneOptions, 'database' | 'processId'> & {
    readonly takeUncertain: () => readonly string[]
    readonly putBack: (uncertain: readonly string[]) => void
    readonly knownIds: () => readonly string[]
  },
): Promise<ReadonlySet<string>> => {
  database.forgetFacts()
  const facts = await database.facts(session)
  const kept = new Set(await reacquire(session, facts, claims, processId))
  // More may come while Postgres is at it.
  for (let claimedAt = takeUncertain(); claimedAt.length > 0; claimedAt = takeUncertain()) {
    try {
      await releaseUnknownClaims(session, facts, { processId, knownIds: knownIds(), claimedAt, claimedBefore: null })
    } catch (error) {
      putBack(claimedAt)
      throw error
    }
  }
  return kept
}

/** Called after each try to start the jobs of a round that could not be written. */
export type Unstarted = (error: unknown, attempt: number) => void

/** An answer that takes longer is taken for a lost connection. */
const ANSWER_TIMEOUT_MS = 20_000

const newRoundClient = (config: ClientConfig): Client => new RoundClient(config) as unknown as Client

const laneConfig = (database: Database): ClientConfig => ({
  ...database.sessionConfig('GoodJob::Lane'),
  query_timeout: ANSWER_TIMEOUT_MS,
})

/**
 * A plan made while good_jobs was empty reads the whole table for the rest of the session, so scans are ruled out. In the order of
 * created_at every other way than walking the index of that order is ruled out with them, so that one plan is good for any number of
 * jobs: planning a claim anew takes as long as claiming five. No index of a queue ends with the id, the last word of the other order.
 */
export const laneSettings = (sort: LaneOptions['sort']) => ({
  TimeZone: 'UTC',
  enable_seqscan: 'off',
  ...(sort === 'created_at' ? INDEX_ORDER_ONLY : { plan_cache_mode: 'force_custom_plan' }),
  jit: 'off',
  // Shorter than our patience: a claim that waits for a table lock is cancelled and keeps the session with its locks.
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
