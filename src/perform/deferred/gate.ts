/** A round must be able to write this share of its jobs, or it costs more than it saves. */
const WORTHWHILE_YIELD = 0.5
const MAX_CLAIMS_WITHOUT = 256

/** What must be written before bodies may begin without a written start: nothing · the jobs of the last round · any start. */
type Awaited = 'nothing' | 'round' | 'start'

/**
 * Whether rounds of deferred starts pay off: jobs that outlive them are better started by their claim. After a round that could not even
 * start its jobs (a full disk), bodies begin behind a start until one could be written: otherwise they would run again and again.
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

  /** A round could be neither written nor started so far. */
  roundUnwritten(): void {
    this.#awaited = 'round'
  }

  /** After each round, whether anything of it was written. */
  roundClosed(isWritten: boolean): void {
    this.#awaited = isWritten ? 'nothing' : 'start'
  }

  /** A claim has started jobs. */
  startsWritten(): void {
    if (this.#awaited === 'start') this.#awaited = 'nothing'
  }

  /** After each round: the share of its jobs that it could write. Rounds that fail pause for twice as many claims each time. */
  record(share: number): void {
    if (share >= WORTHWHILE_YIELD) {
      this.#nextPause = 1
      return
    }
    this.#claimsWithout = this.#nextPause
    this.#nextPause = Math.min(this.#nextPause * 2, MAX_CLAIMS_WITHOUT)
  }
}
