import { createLogUpdate } from 'log-update'
import { every } from '../time.ts'

const FRAME_MS = 100

/** Lines that stay, and below them, at a terminal, lines that change. Elsewhere only the lines that stay are written. */
export class Screen {
  readonly #output: NodeJS.WriteStream
  readonly #update: ReturnType<typeof createLogUpdate> | undefined
  #draw: (() => string) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(output: NodeJS.WriteStream) {
    this.#output = output
    this.#update = output.isTTY === true ? createLogUpdate(output) : undefined
  }

  get isLive(): boolean {
    return this.#update !== undefined
  }

  /** Writes a line that stays. */
  line(text = ''): void {
    this.#update?.clear()
    this.#output.write(`${text}\n`)
    this.#frame()
  }

  /** Draws these lines over and over until `still`. */
  live(draw: () => string): void {
    this.#draw = draw
    if (this.#update === undefined) return
    this.#timer ??= every(FRAME_MS, () => this.#frame())
    this.#frame()
  }

  /** Takes the changing lines away. */
  still(): void {
    this.#draw = undefined
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#update?.clear()
  }

  /** Gives the cursor back. */
  end(): void {
    this.still()
    this.#update?.done()
  }

  #frame(): void {
    if (this.#draw !== undefined) this.#update?.(this.#draw())
  }
}
