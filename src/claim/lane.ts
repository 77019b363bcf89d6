import { setImmediate } from 'node:timers/promises'
import type { ClientConfig } from 'pg'
import { endsSession, sqlState } from '../errors.ts'
import { events } from '../events.ts'
import { releaseAdvisoryLocks, releaseOtherAdvisoryLocks } from '../sql/advisory-lock.ts'
import { type ClaimedRow, type ClaimOptions, type ClaimResult, claim } from '../sql/claim/claim.ts'
import type { Connection } from '../sql/connection/connection.ts'
import type { Session } from '../sql/connection/session.ts'
import type { Facts } from '../sql/database.ts'
import { backoffMs, every, sleep } from '../time.ts'
import { Admission, type AdmissionScope } from './admission.ts'
import { LANE_LIMITS } from './lane-limits.ts'
import type { ClaimRequest, HeldClaim, LaneOptions, TakenJobs } from './lane-options.ts'
import { LaneRecovery } from './lane-recovery.ts'
import { laneSession } from './lane-settings.ts'
import { LockLedger } from './lock-ledger.ts'
import { Turns } from './turns.ts'

/**
 * 'created': no session exists yet; `connect` opens one.
 *
 * 'ready': the session holds the locks of the ledger. Claims, releases and checks that the session lives are sent in turn.
 *
 * 'recovering': the session is lost, and with it all locks. The recovery opens another session and takes back the locks that still
 * belong to this process. Only the recovery uses the session. Claims return no rows, releases wait for its end.
 *
 * 'closed': the lane was closed and is of no more use. No other state follows.
 */
type LaneState = 'created' | 'ready' | 'recovering' | 'closed'

/**
 * One pinned Postgres session that claims jobs in bulk and holds the advisory lock of each until its outcome is committed. The lane
 * sends one statement at a time, in the order of the calls.
 */
export class Lane<C extends Connection = Connection> {
  protected readonly session: Session<C>
  protected readonly locks = new LockLedger()
  protected readonly turns = new Turns()
  readonly #options: LaneOptions
  #state: LaneState = 'created'
  #answeredMs = Number.NEGATIVE_INFINITY
  /** The release that waits for its turn; it takes every lock that is releasable by then. */
  #releasing: Promise<void> | undefined
  readonly #recovery: LaneRecovery
  #recovered: Promise<void> = Promise.resolve()
  readonly #closing = new AbortController()
  #aliveTimer: NodeJS.Timeout | undefined

  constructor(options: LaneOptions, createConnection: (config: ClientConfig) => C) {
    this.#options = options
    const onLost = (error: Error | undefined) => this.#recover(error)
    this.session = laneSession(options.database, { sort: options.sort, createConnection, onLost })
    this.#recovery = new LaneRecovery(this.session, this.locks, options, this.#closing.signal)
  }

  get isReady(): boolean {
    return this.#state === 'ready'
  }

  /** Fires when the current session is lost or closed. */
  get sessionEnd(): AbortSignal {
    return this.session.end
  }

  async connect(): Promise<void> {
    await this.session.connect()
    // The lane was closed while it was connecting.
    if (this.#state !== 'created') return
    this.#enter('ready')
    this.#aliveTimer = every(LANE_LIMITS.aliveCheckMs, () => this.#proveAlive()).unref()
  }

  /**
   * Claims and starts jobs, and releases the locks of ended attempts in the same statement. Also returns no rows while the lane
   * recovers: `onReady` is called when another claim is worthwhile. `request` is called when it is this claim's turn.
   * @throws the error of Postgres about the statement itself
   */
  claim(request: () => ClaimRequest): Promise<TakenJobs<ClaimedRow>> {
    return this.turns.take(() => this.takeJobs(request, (facts, options) => claim(this.session, facts, options)))
  }

  /**
   * Opens the transaction of an admission and takes the locks of its scopes. The lane does nothing else until the admission is
   * closed. Returns undefined while the lane recovers.
   */
  async openAdmission(scopes: readonly AdmissionScope[]): Promise<Admission | undefined> {
    const { database, processId } = this.#options
    const endTurn = await this.turns.begin()
    const guard = <T>(statement: Promise<T>) => this.guard(statement)
    const doubtLocks = (missing: number) => this.#doubtLocks(missing)
    const isReady = () => this.isReady
    const lane = { session: this.session, locks: this.locks, isReady, guard, doubtLocks, endTurn, processId }
    return Admission.open(lane, scopes, () => database.facts(this.session))
  }

  /**
   * Releases the lock of a claim after its outcome was committed; the next claim in line, if any, carries the release. Resolves
   * when other sessions can have the lock. A newer claim of the same job keeps its lock.
   */
  release(claim: HeldClaim): Promise<void> {
    this.locks.release(claim, this.isReady)
    return this.#releaseSoon()
  }

  /** Lets the current recovery release jobs of a lost claim that no attempt will run. */
  disown(jobIds: readonly string[], claimedAt: string): void {
    this.locks.doubt(claimedAt, jobIds)
  }

  /** Closes the session, which releases every lock that it still holds. */
  async close(): Promise<void> {
    this.#enter('closed')
    clearInterval(this.#aliveTimer)
    this.#closing.abort()
    // A statement without a response ends when its connection does.
    await Promise.race([this.turns.end, sleep(LANE_LIMITS.closeGraceMs)])
    await this.session.close()
    await this.turns.end
    await this.#recovered
  }

  /** Takes jobs and their advisory locks by one statement, in the turn of the caller. */
  protected async takeJobs<R extends ClaimedRow>(
    request: () => ClaimRequest,
    statement: (facts: Facts, options: ClaimOptions) => Promise<readonly (R & ClaimResult)[]>,
  ): Promise<TakenJobs<R>> {
    const { database, processId } = this.#options
    const facts = await database.facts(this.session)
    const options = { ...request(), processId, runningIds: this.locks.heldIds }
    const { now } = options
    if (!this.isReady || options.limit <= 0) return { rows: [], found: [], limited: [], facts, now, processId }
    if (this.locks.mayHoldStrays) await this.#releaseStrays()
    const releaseKeys = this.locks.takeReleasable()
    const rows = await this.guard(statement(facts, { ...options, releaseKeys }))
    if (rows === undefined) this.locks.doubt(now)
    // A row without an id is no job.
    const found = (rows ?? []).filter(({ id }) => id !== null)
    const limited = found.filter(({ is_limited }) => is_limited === true)
    const taken = limited.length === 0 ? found : found.filter(({ is_limited }) => is_limited !== true)
    this.locks.hold(idsOf(taken), now)
    this.#doubtLocks(rows?.[0]?.missing)
    return { rows: taken, found, limited, facts, now, processId }
  }

  /** Records that the session has responded to a statement that `takeJobs` did not send. */
  protected noteAnswer(): void {
    this.#answeredMs = performance.now()
  }

  /** Called with jobs that other workers took although an attempt runs them. */
  protected lose(jobIds: readonly string[]): void {
    const lost = this.locks.drop(jobIds)
    if (lost.length > 0) this.#options.onClaimsLost(lost)
  }

  #enter(state: LaneState): void {
    if (this.#state !== 'closed') this.#state = state
  }

  #releaseSoon(tries = 1): Promise<void> {
    this.#releasing ??= this.#release(tries)
    return this.#releasing
  }

  /** The slots of ended jobs are claimed for within this turn of the event loop; that claim carries the keys. */
  async #release(tries: number): Promise<void> {
    // The recovery also takes back the locks of attempts that have ended meanwhile.
    await this.#recovered
    await this.turns.end
    await setImmediate()
    let { sessionEnd } = this
    try {
      await this.turns.take(() => {
        this.#releasing = undefined
        sessionEnd = this.sessionEnd
        return this.#releaseAll()
      })
    } catch (error) {
      if (sqlState(error) === undefined) return this.session.abandon(error as Error, sessionEnd)
      // Postgres refused or cancelled the statement: the session keeps its locks, and those that were to be released count as stray.
      await sleep(backoffMs(tries), this.#closing.signal)
      return this.#releaseSoon(tries + 1)
    }
  }

  async #releaseAll(): Promise<void> {
    if (!this.isReady) return
    if (this.locks.mayHoldStrays) return this.#releaseStrays()
    const keys = this.locks.takeReleasable()
    if (keys.length > 0) this.#doubtLocks(await this.guard(releaseAdvisoryLocks(this.session, keys)))
  }

  /** A statement that was cancelled half-way has started no job, but keeps the advisory locks that it had taken by then. */
  async #releaseStrays(): Promise<void> {
    // The releasable locks are among those that are not held.
    this.locks.takeReleasable()
    this.#doubtLocks(await this.guard(releaseOtherAdvisoryLocks(this.session, this.locks.heldKeys)))
    this.locks.straysReleased()
  }

  /** If the connection is cut silently, the server may release the locks long before the socket reports an error. */
  #proveAlive(): void {
    void this.turns.take(async () => {
      if (!this.isReady || this.#isProven()) return
      const { sessionEnd } = this
      try {
        await this.guard(this.session.proveAlive(LANE_LIMITS.aliveAnswerMs))
      } catch (error) {
        this.session.abandon(error as Error, sessionEnd)
      }
    })
  }

  /** A lane that holds no lock has none to lose; its claims, one at each poll, show that it lives. */
  #isProven(): boolean {
    return this.locks.heldCount === 0 && performance.now() - this.#answeredMs < LANE_LIMITS.idleAliveCheckMs
  }

  /** A lock that was missing at its release had been lost for some time; other locks may be missing, too. */
  #doubtLocks(missing = 0): void {
    if (missing === 0) return
    const { processId } = this.#options
    const { sessionEnd } = this
    events.emit('lane_lock_missing', { processId, missingLocks: missing, heldLocks: this.locks.heldCount })
    void this.turns.take(() => this.#leave(sessionEnd))
  }

  /** Abandons the session that ends with `sessionEnd`, after the response to the statement that it may be executing. */
  async #leave(sessionEnd: AbortSignal): Promise<void> {
    if (sessionEnd.aborted) return
    await this.session.proveAlive(LANE_LIMITS.aliveAnswerMs).catch(() => undefined)
    this.session.abandon(new Error('advisory locks of this session were missing'), sessionEnd)
  }

  /**
   * Resolves with undefined if the session was lost. That is no error of the caller: a recovery is under way. Locks that a failed
   * statement was to release may be released or not, because no rollback brings them back. They count as stray.
   */
  protected async guard<T>(statement: Promise<T>): Promise<T | undefined> {
    const { sessionEnd } = this
    try {
      const answer = await statement
      this.noteAnswer()
      this.#recovery.succeeded()
      return answer
    } catch (error) {
      this.#options.database.forgetFacts()
      if (!endsSession(error)) {
        this.locks.noteStrays()
        throw error
      }
      // The server reports the end of the session before the socket does (57P01).
      this.session.abandon(error as Error, sessionEnd)
      return undefined
    }
  }

  #recover(error: Error | undefined): void {
    // A recovery that is under way continues by itself.
    if (!this.isReady) return
    this.#enter('recovering')
    const { database, processId } = this.#options
    events.emit('lane_lost', { processId, heldLocks: this.locks.heldCount, error })
    void database.dropDeadConnections()
    this.#recovered = this.#restore(error)
  }

  async #restore(lostBy: Error | undefined): Promise<void> {
    const recovered = await this.#recovery.run(lostBy)
    if (recovered === undefined) return
    this.#enter('ready')
    events.emit('lane_restored', { processId: this.#options.processId, ...recovered })
    if (this.locks.hasReleasable) void this.#releaseSoon()
    this.#options.onReady()
  }
}

const idsOf = (rows: readonly ClaimedRow[]): string[] => rows.map(({ id }) => id)
