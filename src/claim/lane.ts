import { setImmediate } from 'node:timers/promises'
import { endsSession, READ_ONLY_TRANSACTION, sqlState } from '../errors.ts'
import { events } from '../events.ts'
import { jobLockKey, type Released, releaseAdvisoryLocks, releaseOtherAdvisoryLocks } from '../sql/advisory-lock.ts'
import { type ClaimedRow, type ClaimOptions, claim } from '../sql/claim/claim.ts'
import type { Statement } from '../sql/connection/queryable.ts'
import type { Session } from '../sql/connection/session.ts'
import type { Facts } from '../sql/database.ts'
import type { RoundEnd } from '../sql/deferred/round-client.ts'
import { backoffMs, every, sleep } from '../time.ts'
import { LANE_LIMITS } from './lane-limits.ts'
import type { ClaimRequest, HeldClaim, LaneOptions, LockedRound } from './lane-options.ts'
import { closeRound, laneSession, leave, openRound, orAbandon, takeBack, type Unstarted } from './lane-session.ts'
import { Turns } from './turns.ts'

type LaneState = 'created' | 'ready' | 'recovering' | 'closed'

/**
 * One pinned Postgres session that claims jobs in bulk and holds the advisory lock of each until its outcome is committed.
 * When the session is lost, all locks are lost: the lane connects again and takes back what is still ours.
 */
export class Lane {
  readonly #options: LaneOptions
  readonly #session: Session
  readonly #held = new Map<string, HeldClaim>()
  #releasable: string[] = []
  /** Sessions in a row that were of no use: lost, or unable to take the locks back, before they answered anything else. */
  #failures = 0
  #answeredMs = Number.NEGATIVE_INFINITY
  /** The release that is due takes whatever is releasable by then. */
  #releasing: Promise<void> | undefined
  /** Times of claims whose answer was lost with the connection. */
  readonly #uncertainClaims: string[] = []
  #mayHoldStrayLocks = false
  #state: LaneState = 'created'
  readonly #turns = new Turns()
  #recovery: Promise<void> = Promise.resolve()
  readonly #closing = new AbortController()
  #aliveTimer: NodeJS.Timeout | undefined

  constructor(options: LaneOptions) {
    this.#options = options
    this.#session = laneSession(options.database, {
      sort: options.sort,
      holdsRounds: options.deferStartMs > 0,
      onLost: (error) => this.#recover(error),
    })
  }

  get isReady(): boolean {
    return this.#state === 'ready'
  }

  /** Fires when the session that is open now is lost or closed. */
  get sessionEnd(): AbortSignal {
    return this.#session.end
  }

  async connect(): Promise<void> {
    await this.#session.connect()
    // Closed while it was connecting.
    if (this.#state !== 'created') return
    this.#state = 'ready'
    this.#aliveTimer ??= every(LANE_LIMITS.aliveCheckMs, () => this.#proveAlive()).unref()
  }

  /** Whether rounds are possible: the option is on. */
  get defersStart(): boolean {
    return this.#options.deferStartMs > 0
  }

  /**
   * Claims and starts jobs; the locks of ended attempts are released on the way. An empty answer also means that the lane is
   * recovering: `onReady` is called when it is worth asking again. `request` is asked when it is this claim's turn.
   * @throws what Postgres says about the statement itself
   */
  claim(request: () => ClaimRequest): Promise<{ readonly rows: readonly ClaimedRow[]; readonly now: string }> {
    return this.#turns.take(async () => {
      const { facts, options } = await this.#prepare(request)
      const { now } = options
      if (this.#state !== 'ready' || options.limit <= 0) return { rows: [], now }
      const rows = await this.#takeLocks(options, (keys) =>
        claim(this.#session, facts, { ...options, releaseKeys: keys }),
      )
      return { rows, now }
    })
  }

  /**
   * Locks jobs in a transaction that stays open while `perform` runs them; what that answers is written before the transaction ends.
   * The transaction never waits for it longer than the limit: then the jobs are started as by `claim`. Nothing else happens on the
   * lane while it is open; the next round is opened behind its last statement, without waiting for the answer. Answers undefined when
   * there was no round, or when nobody knows how it ended. From the first call of `onUnstarted` until the answer no other can be opened.
   */
  async round(
    request: () => ClaimRequest,
    perform: (round: LockedRound) => Promise<readonly Statement[]>,
    onUnstarted: Unstarted,
  ): Promise<RoundEnd | undefined> {
    const round = await this.#turns.take(async () => {
      const { facts, options } = await this.#prepare(request)
      const { now, processId } = options
      if (this.#state !== 'ready' || options.limit <= 0) return undefined
      const rows = await this.#takeLocks(options, (keys) =>
        openRound(this.#session, facts, { ...options, releaseKeys: keys }, this.#options.deferStartMs),
      )
      if (rows.length === 0) return undefined
      const sessionEnd = this.#session.end
      const statements = await orAbandon(this.#session, () => perform({ rows, facts, now, processId }))
      return { rows, end: closeRound(this.#session, statements, { sessionEnd, onUnstarted }) }
    })
    const end = await round?.end
    if (end) this.#answeredMs = performance.now()
    if (round && end?.startedIds) this.#dropUnstarted(round.rows, new Set(end.startedIds))
    return end
  }

  /**
   * Gives up the lock of a claim, after its outcome was committed; rides on the next claim if there is one in line. Resolves when other
   * sessions can have it. A newer claim of the same job keeps its lock.
   */
  release({ id, lockedAt }: HeldClaim): Promise<void> {
    if (this.#held.get(id)?.lockedAt === lockedAt) {
      this.#held.delete(id)
      if (this.#state === 'ready') this.#releasable.push(jobLockKey(id))
    }
    return this.#releaseSoon()
  }

  #releaseSoon(attempt = 1): Promise<void> {
    this.#releasing ??= this.#releaseAll(attempt)
    return this.#releasing
  }

  /** The slots of ended jobs are claimed for within this turn of the event loop; that claim carries the keys. */
  async #releaseAll(attempt: number): Promise<void> {
    // It takes back the locks of attempts that have ended meanwhile, too.
    await this.#recovery
    await this.#turns.end
    await setImmediate()
    let sessionEnd = this.#session.end
    try {
      await this.#turns.take(async () => {
        this.#releasing = undefined
        sessionEnd = this.#session.end
        if (this.#mayHoldStrayLocks && this.isReady) return this.#releaseStrayLocks()
        const keys = this.#takeReleasable()
        if (keys.length === 0 || !this.isReady) return
        this.#doubtLocks(await this.#guard(releaseAdvisoryLocks(this.#session, keys)))
      })
    } catch (error) {
      if (sqlState(error) === undefined) return this.#session.abandon(error as Error, sessionEnd)
      // Postgres refused or cancelled the statement: the session keeps its locks, those that were to be released count as stray.
      await sleep(backoffMs(attempt), this.#closing.signal)
      return this.#releaseSoon(attempt + 1)
    }
  }

  /** Lets the recovery under way free jobs of a lost claim that no attempt will run. */
  disown(jobIds: readonly string[], claimedAt: string): void {
    for (const id of jobIds) this.#held.delete(id)
    this.#uncertainClaims.push(claimedAt)
  }

  /** Closes the session, which frees every lock that it still holds. */
  async close(): Promise<void> {
    this.#state = 'closed'
    clearInterval(this.#aliveTimer)
    this.#closing.abort()
    // A statement that nobody answers ends when its connection does.
    await Promise.race([this.#turns.end, sleep(LANE_LIMITS.closeGraceMs)])
    await this.#session.close()
    await this.#turns.end
    await this.#recovery
  }

  /** A cut that nobody announced: the server may have given our locks to others long before the socket says anything. */
  #proveAlive(): void {
    void this.#turns.take(async () => {
      if (this.#state !== 'ready' || this.#isProven()) return
      await orAbandon(this.#session, () => this.#guard(this.#session.proveAlive(LANE_LIMITS.aliveAnswerMs)))
    })
  }

  /** A lane that holds no lock has none to lose; its claims, one at each poll, tell whether it lives. */
  #isProven(): boolean {
    return this.#held.size === 0 && performance.now() - this.#answeredMs < LANE_LIMITS.idleAliveCheckMs
  }

  async #prepare(request: () => ClaimRequest): Promise<{ facts: Facts; options: ClaimOptions }> {
    const facts = await this.#options.database.facts(this.#session)
    const { processId } = this.#options
    return { facts, options: { ...request(), processId, runningIds: [...this.#held.keys()], releaseKeys: [] } }
  }

  /** The rows of a statement that takes advisory locks, which are held from now on. */
  async #takeLocks<R extends ClaimedRow>(
    { now }: ClaimOptions,
    take: (releaseKeys: readonly string[]) => Promise<readonly (R & Released)[]>,
  ): Promise<readonly R[]> {
    if (this.#mayHoldStrayLocks) await this.#releaseStrayLocks()
    const rows = await this.#guard(take(this.#takeReleasable()))
    if (rows === undefined) this.#uncertainClaims.push(now)
    const claimed = (rows ?? []).filter(({ id }) => id !== null)
    for (const { id } of claimed) this.#held.set(id, { id, lockedAt: now })
    this.#doubtLocks(rows?.[0]?.missing)
    return claimed
  }

  /** Jobs that somebody else took when the write of their round had failed. */
  #dropUnstarted(rows: readonly ClaimedRow[], startedIds: ReadonlySet<string>): void {
    const lost = rows.map(({ id }) => id).filter((id) => !startedIds.has(id) && this.#held.delete(id))
    this.#releasable.push(...lost.map(jobLockKey))
    if (lost.length > 0) this.#options.onClaimsLost(lost)
  }

  #takeReleasable(): string[] {
    const keys = this.#releasable
    this.#releasable = []
    return keys
  }

  /** A lock that was gone when it was to be released was not ours all the time, and what else is gone nobody knows. */
  #doubtLocks(missing = 0): void {
    if (missing === 0) return
    const { processId } = this.#options
    const { sessionEnd } = this
    events.emit('lane_lock_missing', { processId, missingLocks: missing, heldLocks: this.#held.size })
    void this.#turns.take(() => leave(this.#session, sessionEnd))
  }

  /**
   * A lost connection is not the caller's error: the recovery under way answers it. Locks that a failed statement was to release may be
   * released or not, as no rollback brings them back: they count as stray.
   */
  async #guard<T>(statement: Promise<T>): Promise<T | undefined> {
    const { sessionEnd } = this
    try {
      const answer = await statement
      this.#answeredMs = performance.now()
      this.#failures = 0
      return answer
    } catch (error) {
      this.#options.database.forgetFacts()
      if (!endsSession(error)) {
        this.#mayHoldStrayLocks = true
        throw error
      }
      // Told by the server before the socket says so (57P01).
      this.#session.abandon(error as Error, sessionEnd)
      return undefined
    }
  }

  /** A statement that was cancelled half-way has started nothing, but keeps the advisory locks that it had taken until then. */
  async #releaseStrayLocks(): Promise<void> {
    this.#releasable = []
    const heldKeys = [...this.#held.keys()].map(jobLockKey)
    this.#doubtLocks(await this.#guard(releaseOtherAdvisoryLocks(this.#session, heldKeys)))
    this.#mayHoldStrayLocks = false
  }

  #recover(error: Error | undefined): void {
    // A recovery under way goes on by itself.
    if (this.#state !== 'ready') return
    this.#state = 'recovering'
    this.#failures += 1
    const { database, processId } = this.#options
    events.emit('lane_lost', { processId, heldLocks: this.#held.size, error })
    void database.dropDeadConnections()
    this.#recovery = this.#recovery.then(() => this.#reconnect(error))
  }

  async #reconnect(lostBy: Error | undefined): Promise<void> {
    const { processId } = this.#options
    const { signal } = this.#closing
    // A standby takes connections, but no claims.
    if (sqlState(lostBy) === READ_ONLY_TRANSACTION) await sleep(LANE_LIMITS.standbyPauseMs, signal)
    while (!signal.aborted && !this.isReady) {
      if (this.#failures > 1) await sleep(backoffMs(this.#failures - 1), signal)
      await this.#session.connectUntil(signal, (error, attempt) => {
        events.emit('connection_retry', { processId, part: 'lane', error, attempt })
      })
      if (signal.aborted) return
      try {
        await this.#reacquire()
      } catch (error) {
        events.emit('connection_retry', { processId, part: 'lane', error, attempt: this.#failures })
        this.#failures += 1
        this.#session.abandon(error as Error, this.#session.end)
      }
    }
  }

  async #reacquire(): Promise<void> {
    const { processId, onClaimsLost, onReady } = this.#options
    this.#mayHoldStrayLocks = false
    this.#releasable = []
    const claims = [...this.#held.values()]
    const kept = await takeBack(this.#session, claims, {
      ...this.#options,
      takeUncertain: () => this.#uncertainClaims.splice(0),
      putBack: (uncertain) => this.#uncertainClaims.push(...uncertain),
      knownIds: () => [...this.#held.keys()],
    })
    const lost = claims.filter(({ id }) => !kept.has(id) && this.#held.delete(id)).map(({ id }) => id)
    // Attempts that ended in the meantime gave up a lock that had just been taken back.
    for (const id of kept) if (!this.#held.has(id)) this.#releasable.push(jobLockKey(id))
    if (lost.length > 0) onClaimsLost(lost)
    if (!this.#session.isConnected || this.#state === 'closed') return
    this.#state = 'ready'
    events.emit('lane_restored', { processId, keptLocks: kept.size, lostLocks: lost.length })
    if (this.#releasable.length > 0) void this.#releaseSoon()
    onReady()
  }
}
