import { events } from '../../events.ts'
import { guarded } from '../../guarded.ts'
import { type Clock, every } from '../../time.ts'

export interface StallWatchOptions {
  readonly processId: string
  readonly clock: Clock
  /** Ids of every attempt of this process. */
  readonly attemptIds: () => readonly string[]
  /** What is due by the clock may be due now. */
  readonly onClockJumped: () => void
}

/** Of a stall as much may be missed. */
const INTERVAL_MS = 2_000
/** Shorter stalls are nobody's trouble: GoodJob's own parts answer to each other within ten seconds. */
const TOLD_MS = 5_000

/**
 * Tells the operator that the process stood still (a body that blocks the event loop, SIGSTOP, a machine that paused), or that its
 * clock was changed: others may have taken its jobs meanwhile, and the schedule follows the clock.
 */
export class StallWatch {
  readonly #options: StallWatchOptions
  #timer: NodeJS.Timeout | undefined
  #lastMs = 0
  #lastWallMs = 0

  constructor(options: StallWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#note()
    this.#timer = every(
      INTERVAL_MS,
      guarded(this.#options.processId, 'stall watch', () => this.#look()),
    ).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #note(): void {
    const { clock } = this.#options
    this.#lastMs = clock.monotonic()
    this.#lastWallMs = clock.now().getTime()
  }

  #look(): void {
    const { clock, processId, attemptIds, onClockJumped } = this.#options
    const passedMs = clock.monotonic() - this.#lastMs
    const jumpedMs = clock.now().getTime() - this.#lastWallMs - passedMs
    this.#note()
    const stalledMs = passedMs - INTERVAL_MS
    if (stalledMs >= TOLD_MS) events.emit('process_stalled', { processId, stalledMs, activeJobIds: [...attemptIds()] })
    if (Math.abs(jumpedMs) < TOLD_MS) return
    events.emit('clock_jumped', { processId, jumpedMs })
    onClockJumped()
  }
}
