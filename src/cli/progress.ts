import { createLogUpdate } from 'log-update'

/** Work that is done sooner needs no words. */
const QUIET_MS = 2_000
const PAUSE_MS = { terminal: 100, file: 2_000 }

/** Tells on standard error how far a long piece of work is: one line that changes at a terminal, a line now and then elsewhere. */
export class Progress {
  readonly #startedMs = performance.now()
  readonly #isTerminal = process.stderr.isTTY === true
  readonly #update = createLogUpdate(process.stderr, { showCursor: true })
  #lastMs = 0
  #hasDrawn = false

  tell(text: string): void {
    const now = performance.now()
    if (now - this.#startedMs < QUIET_MS) return
    if (now - this.#lastMs < (this.#isTerminal ? PAUSE_MS.terminal : PAUSE_MS.file)) return
    this.#lastMs = now
    this.#hasDrawn = true
    if (this.#isTerminal) this.#update(text)
    else process.stderr.write(`${text}\n`)
  }

  /** Takes the line away. */
  end(): void {
    if (this.#isTerminal && this.#hasDrawn) this.#update.clear()
  }
}
