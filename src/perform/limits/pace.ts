/** A query that wake-ups ask for is sent again at the earliest after this time, milliseconds, and after this many times its duration. */
const MIN_PAUSE_MS = 100
const PAUSE_FACTOR = 10

/** Keeps the cost of a query that every wake-up asks for to a tenth of the time. */
export class Pace {
  #notBeforeMs = Number.NEGATIVE_INFINITY

  /** How long the next query has to wait, milliseconds. `nowMs` is monotonic, as all times here. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.#notBeforeMs - nowMs)
  }

  note(beganMs: number, endedMs: number): void {
    this.#notBeforeMs = endedMs + Math.max(MIN_PAUSE_MS, PAUSE_FACTOR * (endedMs - beganMs))
  }
}
