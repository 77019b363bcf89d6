import { endsSession, mayConcernRow, sqlState } from '../errors.ts'
import type { Statement } from '../sql/connection/queryable.ts'
import type { Session } from '../sql/connection/session.ts'
import { RoundConnection, type RoundEnd } from '../sql/deferred/round-connection.ts'
import { type LockedRow, lockCandidates, startLockedJobs } from '../sql/deferred/statements.ts'
import { Lane } from './lane.ts'
import { LANE_LIMITS } from './lane-limits.ts'
import type { ClaimRequest, LaneOptions, TakenJobs } from './lane-options.ts'

/** Jobs that are locked in a transaction but not started. */
export type LockedRound = TakenJobs<LockedRow>

/** A round whose transaction is open: the lane does nothing else until the round is closed or abandoned. */
export interface OpenRound extends LockedRound {
  /** Fires when the session that holds its locks is lost or closed. */
  readonly sessionEnd: AbortSignal
  /** Writes the statements and commits. Call it again after 'unstarted'. */
  close(statements: readonly Statement[]): Promise<RoundClosed>
  /** Abandons the session: nothing is written, and the recovery of the lane finds out who owns the jobs. */
  abandon(error: Error): void
}

/**
 * How a round was closed.
 *
 * 'written': the statements are committed.
 *
 * 'started': the statements are not committed. The limit had passed, or Postgres refused them (`error`). `rows` were started as by
 * a claim and continue to run; other workers took the rest.
 *
 * 'unstarted': the jobs could be neither written nor started (a full disk). Their advisory locks are held, and no other round can
 * be opened.
 *
 * 'unknown': the session ended, or Postgres refuses to start these jobs. Their owner is known when the lane has recovered.
 */
export type RoundClosed =
  | { readonly kind: 'written' }
  | { readonly kind: 'started'; readonly rows: readonly LockedRow[]; readonly error?: Error | undefined }
  | { readonly kind: 'unstarted'; readonly error: unknown }
  | { readonly kind: 'unknown' }

/** A lane that can also lock jobs in a transaction that stays open while they run. Its connection lives in a thread. */
export class RoundLane extends Lane<RoundConnection> {
  readonly #limitMs: number

  /** `deferStartMs`: how long the start of a job may stay unwritten. */
  constructor({ deferStartMs, ...options }: LaneOptions & { readonly deferStartMs: number }) {
    super(options, (config) => new RoundConnection(config))
    this.#limitMs = Math.max(LANE_LIMITS.minRoundMs, LANE_LIMITS.roundFactor * deferStartMs)
  }

  /**
   * Locks jobs in a transaction and keeps the lane's turn until the round is closed. The next round is opened behind its last
   * statement, without waiting for the response. If the event loop is blocked for too long, the thread starts the jobs and commits.
   * Returns undefined if no job can be locked, or while the lane recovers. `request` is called when it is this round's turn.
   * @throws the error of Postgres about the statement itself
   */
  async openRound(request: () => ClaimRequest): Promise<OpenRound | undefined> {
    const endTurn = await this.turns.begin()
    try {
      const round = await this.#lock(request)
      if (round.rows.length > 0) return this.#open(round, endTurn)
    } catch (error) {
      endTurn()
      throw error
    }
    endTurn()
    return undefined
  }

  #lock(request: () => ClaimRequest): Promise<LockedRound> {
    return this.takeJobs<LockedRow>(request, (facts, options) =>
      this.session.use((connection) =>
        connection.open(lockCandidates(facts, options), startLockedJobs(facts, options), this.#limitMs),
      ),
    )
  }

  #open(round: LockedRound, endTurn: () => void): OpenRound {
    const { sessionEnd } = this
    return {
      ...round,
      sessionEnd,
      close: async (statements) => {
        const closing = closeRound(this.session, statements, sessionEnd)
        endTurn()
        return this.#closed(round, await closing)
      },
      abandon: (error) => {
        this.session.abandon(error, sessionEnd)
        endTurn()
      },
    }
  }

  #closed({ rows }: LockedRound, end: RoundEnd | Unended): RoundClosed {
    if ('kind' in end) return end
    this.noteAnswer()
    if (!end.isOver) return { kind: 'written' }
    const { startedIds, error } = end
    if (startedIds === undefined) return { kind: 'started', rows, error }
    const started = new Set(startedIds)
    this.lose(rows.filter(({ id }) => !started.has(id)).map(({ id }) => id))
    return { kind: 'started', rows: rows.filter(({ id }) => started.has(id)), error }
  }
}

type Unended = Extract<RoundClosed, { readonly kind: 'unstarted' | 'unknown' }>

/** Abandons the session if it is unknown what the session has written. */
const closeRound = async (
  session: Session<RoundConnection>,
  statements: readonly Statement[],
  sessionEnd: AbortSignal,
): Promise<RoundEnd | Unended> => {
  if (sessionEnd.aborted) return { kind: 'unknown' }
  try {
    const end = await untilEnd(
      session.use((connection) => connection.close(statements)),
      sessionEnd,
    )
    return end ?? { kind: 'unknown' }
  } catch (error) {
    if (sqlState(error) !== undefined && !endsSession(error) && !mayConcernRow(error))
      return { kind: 'unstarted', error }
    session.abandon(error as Error, sessionEnd)
    return { kind: 'unknown' }
  }
}

/** Resolves with undefined as soon as the session ends: the recovery that begins then must know of each claim without a result. */
const untilEnd = <T>(answer: Promise<T>, sessionEnd: AbortSignal): Promise<T | undefined> =>
  new Promise((resolve, reject) => {
    const end = () => resolve(undefined)
    sessionEnd.addEventListener('abort', end, { once: true })
    answer.then(resolve, reject).finally(() => sessionEnd.removeEventListener('abort', end))
  })
