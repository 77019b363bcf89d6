import { jobLockKey } from '../sql/advisory-lock.ts'
import type { HeldClaim } from './lane-options.ts'

/**
 * The advisory locks of a lane, as far as this process knows them. The ledger sends no statement.
 *
 * *Held*: the job of a claim runs, or its outcome is not committed yet.
 * *Releasable*: the attempt is over; the next statement on the session releases the lock.
 * *Uncertain*: the result of a claim was lost. Jobs that the claim took belong to this process, which does not know them.
 * *Stray*: a statement failed half-way and left locks that are in no list.
 */
export class LockLedger {
  readonly #held = new Map<string, HeldClaim>()
  #releasable: string[] = []
  #uncertainClaims: string[] = []
  #mayHoldStrays = false

  get heldCount(): number {
    return this.#held.size
  }

  /** Jobs whose locks are held. */
  get heldIds(): string[] {
    return [...this.#held.keys()]
  }

  get heldKeys(): string[] {
    return this.heldIds.map(jobLockKey)
  }

  get heldClaims(): HeldClaim[] {
    return [...this.#held.values()]
  }

  get hasReleasable(): boolean {
    return this.#releasable.length > 0
  }

  get mayHoldStrays(): boolean {
    return this.#mayHoldStrays
  }

  /** Records that a claim stamped with `lockedAt` has taken these jobs. */
  hold(jobIds: readonly string[], lockedAt: string): void {
    for (const id of jobIds) this.#held.set(id, { id, lockedAt })
  }

  /**
   * Records that the attempt of this claim is over; a newer claim of the same job keeps its lock. Without a session there is no
   * lock to release, and a key kept for the next session would release the lock of a newer claim.
   */
  release({ id, lockedAt }: HeldClaim, isSessionUp: boolean): void {
    if (this.#held.get(id)?.lockedAt !== lockedAt) return
    this.#held.delete(id)
    if (isSessionUp) this.#releasable.push(jobLockKey(id))
  }

  /** Drops jobs that other workers took although their locks were held. Returns the ids that were held; their locks are releasable. */
  drop(jobIds: readonly string[]): string[] {
    const dropped = jobIds.filter((id) => this.#held.delete(id))
    this.#releasable.push(...dropped.map(jobLockKey))
    return dropped
  }

  /**
   * Returns the keys that the next statement releases. If that statement fails, `noteStrays` must follow: no rollback brings locks
   * back.
   */
  takeReleasable(): string[] {
    const keys = this.#releasable
    this.#releasable = []
    return keys
  }

  /** The result of the claim stamped with `claimedAt` is lost. No attempt will run `jobIds`, which the claim may have taken. */
  doubt(claimedAt: string, jobIds: readonly string[] = []): void {
    for (const id of jobIds) this.#held.delete(id)
    this.#uncertainClaims.push(claimedAt)
  }

  /** Returns the stamps of uncertain claims. Their jobs must be released, or the stamps passed to `doubt` again. */
  takeUncertain(): string[] {
    const claimedAt = this.#uncertainClaims
    this.#uncertainClaims = []
    return claimedAt
  }

  noteStrays(): void {
    this.#mayHoldStrays = true
  }

  /** The session released every lock that is not held. */
  straysReleased(): void {
    this.#mayHoldStrays = false
  }

  /** A new session has no lock at all. */
  sessionOpened(): void {
    this.#releasable = []
    this.#mayHoldStrays = false
  }

  /** The new session took back the locks of `kept`, a part of `claims`. Returns the ids of jobs that were held and are lost. */
  tookBack(claims: readonly HeldClaim[], kept: ReadonlySet<string>): string[] {
    const lost = claims.filter(({ id }) => !kept.has(id) && this.#held.delete(id)).map(({ id }) => id)
    // Attempts that ended in the meantime: their locks are not needed any more.
    for (const id of kept) if (!this.#held.has(id)) this.#releasable.push(jobLockKey(id))
    return lost
  }
}
