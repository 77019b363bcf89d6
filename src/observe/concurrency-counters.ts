import { type EventName, type Events, events as processEvents } from '../events.ts'

/** What concurrency rules did since counting began. */
export interface ConcurrencyCounts {
  /** Scopes that became full. */
  readonly limited: number
  /** Throttles that were used up. */
  readonly throttled: number
  /** Jobs that Ruby had refused and that this process made due. */
  readonly promoted: number
  /** Jobs that were not enqueued. */
  readonly refused: number
}

/** Counts the events of concurrency rules in this Node process. */
export class ConcurrencyCounters {
  readonly #counts = { limited: 0, throttled: 0, promoted: 0, refused: 0 }
  readonly #detach: () => void

  constructor(events: Events = processEvents) {
    const counts = this.#counts
    const listeners = {
      concurrency_limited: () => void counts.limited++,
      concurrency_throttled: () => void counts.throttled++,
      concurrency_promoted: ({ keys }: { readonly keys: readonly string[] }) => {
        counts.promoted += keys.length
      },
      enqueue_concurrency_limit_exceeded: () => void counts.refused++,
      enqueue_concurrency_throttle_exceeded: () => void counts.refused++,
    } as const satisfies Partial<Record<EventName, unknown>>
    for (const [name, listener] of Object.entries(listeners)) events.on(name as EventName, listener as never)
    this.#detach = () => {
      for (const [name, listener] of Object.entries(listeners)) events.off(name as EventName, listener as never)
    }
  }

  /** The counts so far, as a copy. */
  get counts(): ConcurrencyCounts {
    return { ...this.#counts }
  }

  /** Stops counting. */
  close(): void {
    this.#detach()
  }
}
