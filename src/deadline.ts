import { endsWithin } from './time.ts'

export interface AllowOptions {
  /** Milliseconds that the work may take after the deadline. @default 0 */
  readonly graceMs?: number
  /** Milliseconds that the work may take from now on. @default no limit */
  readonly patienceMs?: number
  /** Ends the wait at once. */
  readonly signal?: AbortSignal
}

/** A moment by which work must have ended. It is reached at once when the `cut` signal aborts. */
export class Deadline {
  readonly #cut: AbortSignal | undefined
  #at: number

  /** The deadline is `ms` milliseconds from now; Infinity: never. */
  constructor(ms: number, cut?: AbortSignal) {
    this.#at = performance.now() + ms
    this.#cut = cut
    if (cut?.aborted) this.#come()
    else cut?.addEventListener('abort', () => this.#come(), { once: true })
  }

  get leftMs(): number {
    return Math.max(0, this.#at - performance.now())
  }

  /** Whether `work` ends within `patienceMs`, and no later than `graceMs` after the deadline. Rejects as `work` does. */
  async allows(
    work: Promise<unknown>,
    { graceMs = 0, patienceMs = Number.POSITIVE_INFINITY, signal }: AllowOptions = {},
  ): Promise<boolean> {
    const patientUntil = performance.now() + patienceMs
    const leftMs = () => Math.max(0, Math.min(this.#at + graceMs, patientUntil) - performance.now())
    const before = this.#cut?.aborted ? undefined : this.#cut
    if (await endsWithin(work, leftMs(), signal ?? before)) return true
    // `cut` aborted during the wait and moved the deadline to now: only the grace period is left.
    return signal === undefined && before?.aborted === true && endsWithin(work, leftMs())
  }

  #come(): void {
    this.#at = Math.min(this.#at, performance.now())
  }
}
