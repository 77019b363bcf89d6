/** A round must be able to write at least this share of its jobs; otherwise it costs more than it saves. */
const WORTHWHILE_YIELD = 0.5
const MAX_CLAIMS_WITHOUT = 256

/**
 * What must reach the database before jobs may run without a written start again: nothing · 'round': the jobs of the last round ·
 * 'start': the start of any job.
 */
type Awaited = 'nothing' | 'round' | 'start'

/**
 * Decides whether rounds of deferred starts pay off: jobs that outlive a round are better started by their claim. After a round
 * that could not even start its jobs (a full disk), each job runs only after its start is written, until one start succeeds.
 * Otherwise the jobs would run again and again.
 */
export class DeferralGate {
  #claimsWithout = 0
  #nextPause = 1
  #awaited: Awaited = 'nothing'

  /** Whether the next claim is to be a round; counts the claims that are not. */
  isOpen(): boolean {
    if (this.#awaited !== 'nothing') return false
    if (this.#claimsWithout === 0) return true
    this.#claimsWithout -= 1
    return false
  }

  /** Call it while a round can be neither written nor started. */
  roundUnwritten(): void {
    this.#awaited = 'round'
  }

  /** Call it after each round; `isWritten`: anything of the round was written. */
  roundClosed(isWritten: boolean): void {
    this.#awaited = isWritten ? 'nothing' : 'start'
  }

  /** Call it after a claim has started jobs. */
  startsWritten(): void {
    if (this.#awaited === 'start') this.#awaited = 'nothing'
  }

  /**
   * Call it after each round with the share of its jobs that it could write. After each failing round the pause doubles, counted in
   * claims.
   */
  record(share: number): void {
    if (share >= WORTHWHILE_YIELD) {
      this.#nextPause = 1
      return
    }
    this.#claimsWithout = this.#nextPause
    this.#nextPause = Math.min(this.#nextPause * 2, MAX_CLAIMS_WITHOUT)
  }
}
