import { setTimeout as sleepFor } from 'node:timers/promises'

/** A Date with nanosecond resolution. */
export class PreciseTime extends Date {
  readonly #belowMillisecond: number

  /** `epochMs`: milliseconds since 1970. `belowMillisecond`: the nanoseconds beyond them, 0 to 999,999. */
  constructor(epochMs: number, belowMillisecond = 0) {
    super(epochMs)
    this.#belowMillisecond = belowMillisecond
  }

  /** The nanoseconds within the second, 0 to 999,999,999, like Ruby's Time#nsec. */
  get nanoseconds(): number {
    return this.getUTCMilliseconds() * 1_000_000 + this.#belowMillisecond
  }
}

const belowMillisecond = (time: Date): number => (time instanceof PreciseTime ? time.nanoseconds % 1e6 : 0)

/** The time `seconds` after `time`, with nanosecond resolution. */
export const laterBy = (time: Date, seconds: number): Date => {
  const ms = Math.floor(seconds * 1000)
  const below = belowMillisecond(time) + Math.floor((seconds * 1000 - ms) * 1e6)
  const carried = below >= 1e6 ? 1 : 0
  return new PreciseTime(time.getTime() + ms + carried, below - carried * 1e6)
}

/** Years 1 to 9999: Date and Postgres write them in the same form. */
const [FIRST_MS, LAST_MS] = [Date.parse('0001-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59Z')]

/** The time `ms` milliseconds after `epochMs` (before it if negative), limited to the years 1 to 9999. */
export const timeAfter = (epochMs: number, ms: number): Date =>
  new Date(Math.min(Math.max(epochMs + ms, FIRST_MS), LAST_MS))

/** The source of time. Every part that needs the time gets a clock as a parameter, and every statement gets its time from one. */
export interface Clock {
  /** The wall clock; a PreciseTime also has nanoseconds. */
  now(): Date
  /**
   * The wall clock for timestamps in rows, as ISO 8601 text in UTC with microseconds. Each reading is later than the previous one, unless
   * the clock was set back by a second or more.
   */
  timestamp(): string
  /** Milliseconds since an arbitrary start; never decreases. */
  monotonic(): number
}

// All texts of one second have the same prefix, and most calls are for the second of the previous call.
let lastSecond = Number.NaN
let lastSecondText = ''

/** ISO 8601 text in UTC with six fraction digits, the resolution of Postgres. */
export const microsecondText = (microseconds: number): string => {
  const second = Math.floor(microseconds / 1e6)
  if (second !== lastSecond) {
    lastSecondText = new Date(second * 1000).toISOString().slice(0, -'000Z'.length)
    lastSecond = second
  }
  return `${lastSecondText}${String(1e6 + microseconds - second * 1e6).slice(1)}Z`
}

/** The text of a time in a row: ISO 8601 in UTC, truncated to microseconds. */
export const columnText = (time: Date): string =>
  microsecondText(time.getTime() * 1000 + Math.floor(belowMillisecond(time) / 1000))

/** If the wall clock goes back by less than this (adjustments, differences between processors), readings still increase. */
const ADJUSTMENT_US = 1_000_000

/** A clock that is `offsetMs` ahead of the system's clock. */
export const createClock = (offsetMs = 0): Clock => {
  const readWallClock = createWallClock()
  let last = 0
  let belowMicrosecond = 0
  // Two readings are never equal, so jobs that are enqueued within one microsecond keep their order.
  const tick = (): number => {
    const { epochMs, nanoseconds } = readWallClock()
    const microseconds = (epochMs + offsetMs) * 1000 + Math.floor(nanoseconds / 1000)
    // After a reading that was an hour ahead, later readings must return to the real time; otherwise that hour's jobs would start early.
    const isReading = microseconds > last || last - microseconds >= ADJUSTMENT_US
    belowMicrosecond = isReading ? nanoseconds % 1000 : 0
    last = isReading ? microseconds : last + 1
    return last
  }
  return {
    now: () => {
      const microseconds = tick()
      const epochMs = Math.floor(microseconds / 1000)
      return new PreciseTime(epochMs, (microseconds - epochMs * 1000) * 1000 + belowMicrosecond)
    },
    timestamp: () => microsecondText(tick()),
    monotonic: () => performance.now(),
  }
}

/** A clock that reaches the next millisecond too early is set to this time before it, so that the next readings do not reach it either. */
const ROOM_MS = 0.1

interface WallTime {
  readonly epochMs: number
  /** The nanoseconds beyond `epochMs`, 0 to 999,999. */
  readonly nanoseconds: number
}

/**
 * Date.now() has only milliseconds; the monotonic clock adds the nanoseconds. It is aligned again whenever the two clocks disagree, because
 * the system time is adjusted: slightly all the time, and by hours after a sleep.
 */
const createWallClock = (): (() => WallTime) => {
  // Milliseconds between the two clocks, as integer and fraction: one number cannot hold nanoseconds since 1970.
  let wholeOffset = Math.floor(performance.timeOrigin)
  let offset = performance.timeOrigin - wholeOffset
  return () => {
    const elapsed = performance.now() + offset
    const whole = Math.floor(elapsed)
    const epochMs = Date.now()
    const behind = epochMs - wholeOffset - whole
    if (behind === 1) offset += whole + 1 - elapsed
    else if (behind === -1) offset += whole - elapsed - ROOM_MS
    else wholeOffset += behind
    const nanoseconds = behind === 1 ? 0 : behind === -1 ? (1 - ROOM_MS) * 1e6 : Math.floor((elapsed - whole) * 1e6)
    return { epochMs, nanoseconds }
  }
}

export const systemClock: Clock = createClock()

/** The longest delay of a Node timer, 24.8 days. Node replaces a longer one by 1 ms. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Limits a delay to the range of a timer. Every timer of this package uses it. */
const timerMs = (ms: number): number => Math.min(Math.max(ms, 0), MAX_TIMER_MS)

/** Calls `work` every `ms` milliseconds until `clearInterval`. */
export const every = (ms: number, work: () => void): NodeJS.Timeout => setInterval(work, timerMs(ms))

/** Calls `work` after `ms` milliseconds, unless `clearTimeout` cancels it. */
export const after = (ms: number, work: () => void): NodeJS.Timeout => setTimeout(work, timerMs(ms))

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
      const timer = Number.isFinite(ms) ? after(ms, () => done()) : undefined
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

/** Waits `ms` milliseconds (Infinity: no limit); returns early, without an error, when `signal` aborts. */
export const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
  try {
    let left = ms
    do {
      await sleepFor(timerMs(left), undefined, signal ? { signal } : undefined)
      left -= MAX_TIMER_MS
    } while (left > 0)
  } catch {
    // The signal aborted; the caller checks it.
  }
}

/** Whether `work` ends within `ms` milliseconds and before `signal` aborts. Rejects as `work` does. */
export const endsWithin = async (work: Promise<unknown>, ms: number, signal?: AbortSignal): Promise<boolean> => {
  const isOver = new AbortController()
  const end = () => isOver.abort()
  if (signal?.aborted) end()
  signal?.addEventListener('abort', end, { once: true })
  try {
    return await Promise.race([work.then(() => true), sleep(ms, isOver.signal).then(() => false)])
  } finally {
    signal?.removeEventListener('abort', end)
    end()
  }
}

/** Milliseconds to wait before the retry with number `attempt` (1, 2, …): doubles from 100 ms up to 5 s, plus up to 25 % jitter. */
export const backoffMs = (attempt: number): number =>
  Math.min(5_000, 100 * 2 ** (attempt - 1)) * (1 + Math.random() / 4)
