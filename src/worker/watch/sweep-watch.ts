import { events } from '../../events.ts'
import type { SweepHolder } from '../../sql/batch/sweep-lock.ts'

/** Why an interval had no sweep that ended. */
type Miss =
  | { readonly reason: 'held'; readonly holder: SweepHolder | undefined }
  | { readonly reason: 'failed'; readonly error: unknown }
  | { readonly reason: 'running' }

/** Intervals in a row without a sweep after which that is told, and told again. */
const TOLD_AFTER = 3

/** Notices that batches are not swept any more, which nobody else would: a sweep that does not come heals nothing and says nothing. */
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

  /** An interval had no sweep. One that another process has is as good, as long as it is another transaction each time. */
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
