import { READ_ONLY_TRANSACTION, sqlState } from '../errors.ts'
import { events } from '../events.ts'
import { reacquire, releaseUnknownClaims } from '../sql/claim/claim.ts'
import type { Session } from '../sql/connection/session.ts'
import type { Facts } from '../sql/database.ts'
import { backoffMs, sleep } from '../time.ts'
import { LANE_LIMITS } from './lane-limits.ts'
import type { LaneOptions } from './lane-options.ts'
import type { LockLedger } from './lock-ledger.ts'

/** The result of a recovery. */
export interface Recovered {
  readonly keptLocks: number
  readonly lostLocks: number
}

/** Opens a session in place of a lost one, and takes back the locks of claims that still belong to this process. */
export class LaneRecovery {
  readonly #session: Session
  readonly #locks: LockLedger
  readonly #options: LaneOptions
  readonly #closing: AbortSignal
  /** Sessions in a row that were useless: lost, or unable to take the locks back, before any other statement succeeded. */
  #failures = 0

  constructor(session: Session, locks: LockLedger, options: LaneOptions, closing: AbortSignal) {
    this.#session = session
    this.#locks = locks
    this.#options = options
    this.#closing = closing
  }

  /** The session works: the next loss counts as the first one again. */
  succeeded(): void {
    this.#failures = 0
  }

  /** Tries until the lane has a session with its locks. Returns undefined if the lane was closed meanwhile. */
  async run(lostBy: Error | undefined): Promise<Recovered | undefined> {
    this.#failures += 1
    // A standby takes connections, but no claims.
    if (sqlState(lostBy) === READ_ONLY_TRANSACTION) await sleep(LANE_LIMITS.standbyPauseMs, this.#closing)
    while (!this.#closing.aborted) {
      if (this.#failures > 1) await sleep(backoffMs(this.#failures - 1), this.#closing)
      await this.#session.connectUntil(this.#closing, (error, attempt) => this.#report(error, attempt))
      if (this.#closing.aborted) break
      const recovered = await this.#takeBack()
      // Lost again in the meantime.
      if (recovered !== undefined && this.#session.isConnected) return recovered
    }
    return undefined
  }

  /** Abandons a session that cannot take the locks back. */
  async #takeBack(): Promise<Recovered | undefined> {
    const { end } = this.#session
    try {
      return await this.#takeLocksBack()
    } catch (error) {
      this.#report(error, this.#failures)
      this.#failures += 1
      this.#session.abandon(error as Error, end)
      return undefined
    }
  }

  async #takeLocksBack(): Promise<Recovered> {
    const { database, processId, onClaimsLost } = this.#options
    this.#locks.sessionOpened()
    const claims = this.#locks.heldClaims
    database.forgetFacts()
    const facts = await database.facts(this.#session)
    const kept = new Set(await reacquire(this.#session, facts, claims, processId))
    await this.#freeUncertainJobs(facts)
    const lost = this.#locks.tookBack(claims, kept)
    if (lost.length > 0) onClaimsLost(lost)
    return { keptLocks: kept.size, lostLocks: lost.length }
  }

  /** Releases the jobs of claims whose result was lost, unless an attempt runs them. More such claims may be added meanwhile. */
  async #freeUncertainJobs(facts: Facts): Promise<void> {
    const { processId } = this.#options
    for (;;) {
      const claimedAt = this.#locks.takeUncertain()
      if (claimedAt.length === 0) return
      const knownIds = this.#locks.heldIds
      try {
        await releaseUnknownClaims(this.#session, facts, { processId, knownIds, claimedAt, claimedBefore: null })
      } catch (error) {
        for (const stamp of claimedAt) this.#locks.doubt(stamp)
        throw error
      }
    }
  }

  #report(error: unknown, attempt: number): void {
    events.emit('connection_retry', { processId: this.#options.processId, part: 'lane', error, attempt })
  }
}
