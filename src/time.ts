import { setTimeout as sleepFor } from 'node:timers/promises'

/** The source of time; every part gets it passed in, and so does every statement. */
export interface Clock {
  /** Wall clock, UTC, millisecond resolution. */
  now(): Date
  /** Wall clock as ISO 8601 text in UTC with microseconds, each call later than the one before: what rows are stamped with. */
  timestamp(): string
  /** Milliseconds from an arbitrary start, never going back. */
  monotonic(): number
}

/** ISO 8601 in UTC with six fraction digits, the resolution of Postgres. */
export const microsecondText = (microseconds: number): string => {
  const milliseconds = Math.floor(microseconds / 1000)
  const rest = String(microseconds - milliseconds * 1000).padStart(3, '0')
  return `${new Date(milliseconds).toISOString().slice(0, -1)}${rest}Z`
}

/** A clock that is `offsetMs` away from the system's. */
export const createClock = (offsetMs = 0): Clock => {
  let last = 0
  return {
    now: () => new Date(Date.now() + offsetMs),
    // Jobs enqueued within one millisecond must keep their order, so the microseconds count up.
    timestamp: () => {
      last = Math.max((Date.now() + offsetMs) * 1000, last + 1)
      return microsecondText(last)
    },
    monotonic: () => performance.now(),
  }
}

export const systemClock: Clock = createClock()

/** A wake-up that is never lost: `wake()` before `wait()` makes that `wait()` return at once. */
export class Wake {
  #isWoken = false
  #resolve: (() => void) | undefined

  wake(): void {
    this.#isWoken = true
    this.#resolve?.()
  }

  /** Resolves at the next `wake()`, after `ms` milliseconds (Infinity: no limit), or when `signal` aborts. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#isWoken && !signal.aborted) await this.#pause(ms, signal)
    this.#resolve = undefined
    this.#isWoken = false
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      // setTimeout fires at once for delays beyond 31 bits.
      const timer = Number.isFinite(ms) ? setTimeout(() => done(), Math.min(Math.max(ms, 0), 2 ** 31 - 1)) : undefined
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done, { once: true })
      this.#resolve = done
    })
  }
}

/** Waits `ms` milliseconds; returns early, without an error, when `signal` aborts. */
export const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
  try {
    await sleepFor(ms, undefined, signal ? { signal } : undefined)
  } catch {
    // Aborted: the caller looks at its signal.
  }
}

/** Milliseconds before try number `attempt` (1, 2, …): doubles from 100 ms up to 5 s, with up to 25 % jitter. */
export const backoffMs = (attempt: number): number =>
  Math.min(5_000, 100 * 2 ** (attempt - 1)) * (1 + Math.random() / 4)
