import { events } from '../../events.ts'
import { guarded } from '../../guarded.ts'
import { type Clock, every } from '../../time.ts'

export interface StallWatchOptions {
  readonly processId: string
  readonly clock: Clock
  /** Ids of every attempt of this process. */
  readonly attemptIds: () => readonly string[]
  /** Jobs that are due by the changed clock may be due now. */
  readonly onClockJumped: () => void
}

/** Milliseconds between checks; a stall is measured too short by up to this much. */
const INTERVAL_MS = 2_000
/** Shorter stalls do no harm: GoodJob's own parts allow each other ten seconds. */
const TOLD_MS = 5_000

/**
 * Reports that the process stood still (a job that blocks the event loop, SIGSTOP, a suspended machine), or that the clock was changed.
 * Meanwhile other workers may have taken its jobs; and scheduled jobs follow the clock.
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
