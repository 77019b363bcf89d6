import type { Lane } from '../../claim/lane.ts'
import { answeredBeside } from '../../claim/lane-patience.ts'
import type { EnqueueAdapter } from '../../enqueue/adapter.ts'
import type { JobRegistry } from '../../job/definition/registry.ts'
import type { QueueSelector } from '../../sql/claim/candidates.ts'
import { findNextScheduledAt } from '../../sql/claim/claim.ts'
import { type Clock, timeAfter } from '../../time.ts'

export interface StartTimesOptions {
  readonly selector: QueueSelector
  readonly clock: Clock
  /** How far ahead to search for scheduled jobs, milliseconds. */
  readonly horizonMs: number
  /** Pause between polls. A search ahead that would expire before the next poll is made with the current poll. */
  readonly pollMs: number
  readonly adapter: EnqueueAdapter
  readonly registry: JobRegistry
}

/** When the next job of a pool becomes due, as far as the pool has searched ahead. */
export class StartTimes {
  readonly #options: StartTimesOptions
  /** Start times are truncated to the millisecond; by the end of that millisecond the job is due. */
  #nextMs = Number.POSITIVE_INFINITY
  #lookedUntilMs = 0

  constructor(options: StartTimesOptions) {
    this.#options = options
  }

  /** A job becomes due at this time (epoch). */
  add(startsAtMs: number): void {
    this.#nextMs = Math.min(this.#nextMs, startsAtMs)
  }

  /** Milliseconds until the next start, or until the next search. */
  get pauseMs(): number {
    const nextMs = Math.min(this.#nextMs, this.#lookedUntilMs || Number.POSITIVE_INFINITY)
    return Math.max(0, nextMs - this.#options.clock.now().getTime())
  }

  /** Finds the next start within the horizon. Jobs enqueued later announce themselves, or the next poll finds them. */
  async lookAhead(lane: Lane, now: Date): Promise<void> {
    if (now.getTime() < this.#lookedUntilMs - this.#options.pollMs && !this.#isSetBack(now.getTime())) return
    await answeredBeside(lane, this.#find(now))
  }

  /**
   * Whether a start time or the horizon has passed: there may be work then. 'unknown': a pool that is never idle has not searched ahead
   * yet.
   */
  passTime(): 'due' | 'unknown' | undefined {
    const now = this.#options.clock.now().getTime()
    if (now < this.#nextMs && now < this.#lookedUntilMs) return undefined
    const isDue = now >= this.#nextMs || this.#lookedUntilMs > 0
    this.#nextMs = Number.POSITIVE_INFINITY
    this.#lookedUntilMs = 0
    return isDue ? 'due' : 'unknown'
  }

  async #find(now: Date): Promise<void> {
    const { adapter, registry, selector, horizonMs } = this.#options
    const until = timeAfter(now.getTime(), horizonMs)
    const next = await findNextScheduledAt(adapter.database.pool, await adapter.database.facts(), {
      selector,
      jobClasses: registry.names(),
      from: now.toISOString(),
      to: until.toISOString(),
    })
    this.#lookedUntilMs = until.getTime()
    if (next !== null) this.add(Date.parse(next) + 1)
  }

  /** The clock was ahead at the last search, so starts between now and that time are unknown. */
  #isSetBack(now: number): boolean {
    return this.#lookedUntilMs - now > this.#options.horizonMs
  }
}
