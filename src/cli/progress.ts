import { createLogUpdate } from 'log-update'
import { every } from '../time.ts'

/** Work that ends sooner shows no progress. */
const QUIET_MS = 2_000
/** Minimum time between two lines; `still` if only the elapsed time changed. */
const PAUSE_MS = { terminal: { news: 100, still: 1_000 }, file: { news: 2_000, still: 10_000 } }
const TICK_MS = 200

let shown: Progress | undefined

/** Clears the progress line before other output is written. */
export const clearProgress = (): void => shown?.clear()

/** Shows the progress of long work on standard error: one changing line at a terminal, occasional lines elsewhere. */
export class Progress {
  readonly #startedMs = performance.now()
  readonly #isTerminal = process.stderr.isTTY === true
  readonly #update = createLogUpdate(process.stderr, { showCursor: true })
  readonly #timer = every(TICK_MS, () => this.#draw('still')).unref()
  #text = 'Waiting for Postgres …'
  #lastMs = Number.NEGATIVE_INFINITY
  #isSuspended = false

  tell(text: string): void {
    this.#text = text
    this.#draw('news')
  }

  /** Shows nothing while a person is asked. */
  async suspend<T>(work: () => Promise<T>): Promise<T> {
    this.clear()
    this.#isSuspended = true
    try {
      return await work()
    } finally {
      this.#isSuspended = false
    }
  }

  /** Clears the line until the next change. */
  clear(): void {
    if (this.#isTerminal && shown === this) this.#update.clear()
    if (shown === this) shown = undefined
  }

  end(): void {
    clearInterval(this.#timer)
    this.clear()
  }

  #draw(reason: 'news' | 'still'): void {
    const now = performance.now()
    const passedMs = now - this.#startedMs
    if (this.#isSuspended || passedMs < QUIET_MS) return
    if (now - this.#lastMs < PAUSE_MS[this.#isTerminal ? 'terminal' : 'file'][reason]) return
    this.#lastMs = now
    shown = this
    const line = `${this.#text} ${Math.floor(passedMs / 1000)} s`
    if (this.#isTerminal) this.#update(line)
    else process.stderr.write(`${line}\n`)
  }
}
