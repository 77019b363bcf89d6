/** At most this many batches are postponed at the same time; beyond it the one postponed first is tried again early. */
const LIMIT = 10_000
const FIRST_PAUSE_MS = 120_000
const LONGEST_PAUSE_MS = 3_600_000

/**
 * Batches whose check took too long. Each is tried again after a pause that doubles every time. So the next sweep has time for the other
 * batches, and many slow batches take a small share of all sweeps.
 */
export class SlowChecks {
  readonly #pauses = new Map<string, { readonly pauseMs: number; readonly endsMs: number }>()

  isPutOff(batchId: string): boolean {
    return (this.#pauses.get(batchId)?.endsMs ?? 0) > performance.now()
  }

  putOff(batchId: string): void {
    const before = this.#pauses.get(batchId)
    const pauseMs = before === undefined ? FIRST_PAUSE_MS : Math.min(before.pauseMs * 2, LONGEST_PAUSE_MS)
    this.#pauses.delete(batchId)
    this.#pauses.set(batchId, { pauseMs, endsMs: performance.now() + pauseMs })
    const [oldest] = this.#pauses.keys()
    if (this.#pauses.size > LIMIT && oldest !== undefined) this.#pauses.delete(oldest)
  }

  /** The check of this batch ended. */
  forget(batchId: string): void {
    this.#pauses.delete(batchId)
  }
}
