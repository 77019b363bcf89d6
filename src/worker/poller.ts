import { every } from '../time.ts'

/** Wakes every pool at an interval. With LISTEN off, polls alone find all work. GoodJob: Poller. */
export class Poller {
  readonly #intervalMs: number
  readonly #onPoll: () => void
  #timer: NodeJS.Timeout | undefined

  /** An interval of 0 or less never polls. */
  constructor(intervalMs: number, onPoll: () => void) {
    this.#intervalMs = intervalMs
    this.#onPoll = onPoll
  }

  start(): void {
    if (this.#intervalMs > 0) this.#timer = every(this.#intervalMs, this.#onPoll)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
