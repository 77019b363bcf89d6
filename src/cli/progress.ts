import { createLogUpdate } from 'log-update'
import { every } from '../time.ts'

/** Work that is done sooner needs no words. */
const QUIET_MS = 2_000
/** Between two lines; `still` when nothing is new but the time that has passed. */
const PAUSE_MS = { terminal: { news: 100, still: 1_000 }, file: { news: 2_000, still: 10_000 } }
const TICK_MS = 200

let shown: Progress | undefined

/** Takes the line of a progress away before something else is written. */
export const clearProgress = (): void => shown?.clear()

/** Tells on standard error how far a long piece of work is: one line that changes at a terminal, a line now and then elsewhere. */
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

  /** Says nothing while a person is asked. */
  async suspend<T>(work: () => Promise<T>): Promise<T> {
    this.clear()
    this.#isSuspended = true
    try {
      return await work()
    } finally {
      this.#isSuspended = false
    }
  }

  /** Takes the line away until there is news. */
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
