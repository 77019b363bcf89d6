import { events } from '../../events.ts'
import type { SweepHolder } from '../../sql/batch/sweep-lock.ts'

/** Why no sweep ended during an interval. */
type Miss =
  | { readonly reason: 'held'; readonly holder: SweepHolder | undefined }
  | { readonly reason: 'failed'; readonly error: unknown }
  | { readonly reason: 'running' }

/** A warning is emitted after every N intervals in a row without a sweep. */
const TOLD_AFTER = 3

/**
 * Reports that batches are no longer swept. No other part would notice: a sweep that never ends neither recovers batches nor reports
 * anything.
 */
export class SweepWatch {
  readonly #processId: string
  #missed = 0
  #holder: string | undefined

  constructor(processId: string) {
    this.#processId = processId
  }

  done(): void {
    this.#missed = 0
    this.#holder = undefined
  }

  /**
   * Counts an interval without a sweep of this worker. A sweep of another process is as good, provided its transaction is a different one
   * each time.
   */
  missed(miss: Miss): void {
    const holder = miss.reason === 'held' ? identity(miss.holder) : this.#holder
    const othersSweep = miss.reason === 'held' && (holder === undefined || holder !== this.#holder)
    this.#holder = holder
    this.#missed = othersSweep ? Number(holder !== undefined) : this.#missed + 1
    if (this.#missed === 0 || this.#missed % TOLD_AFTER !== 0) return
    events.emit('batch_sweep_missed', { processId: this.#processId, intervals: this.#missed, ...miss })
  }
}

const identity = (holder: SweepHolder | undefined): string | undefined => holder && `${holder.pid} ${holder.since}`
