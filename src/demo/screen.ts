import { createLogUpdate } from 'log-update'
import { every } from '../time.ts'

const FRAME_MS = 100

/** Permanent lines and, at a terminal, changing lines below them. Elsewhere only the permanent lines are written. */
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

  /** Writes a permanent line. */
  line(text = ''): void {
    this.#update?.clear()
    this.#output.write(`${text}\n`)
    this.#frame()
  }

  /** Redraws these lines until `still` is called. */
  live(draw: () => string): void {
    this.#draw = draw
    if (this.#update === undefined) return
    this.#timer ??= every(FRAME_MS, () => this.#frame())
    this.#frame()
  }

  /** Removes the changing lines. */
  still(): void {
    this.#draw = undefined
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#update?.clear()
  }

  /** Restores the cursor. */
  end(): void {
    this.still()
    this.#update?.done()
  }

  #frame(): void {
    if (this.#draw !== undefined) this.#update?.(this.#draw())
  }
}
