import { type Clock, systemClock } from '../time.ts'
import type { HealthReport } from './messages.ts'

/** How often a subprocess reports its health. GoodJob 4.23.1 subprocess.rb: CHECK_INTERVAL. */
export const HEALTH_INTERVAL_MS = 5_000
/** A report that is older than this counts no more. GoodJob 4.23.1 supervisor.rb: CONNECTED_TIMEOUT. */
const STALE_MS = 15_000

/** The last report of a subprocess about its health. A subprocess that hangs or was stopped sends none, and its last report becomes stale. */
export class ChildHealth {
  readonly #clock: Clock
  #report: HealthReport | undefined
  #reportedMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  get started(): boolean {
    return this.#fresh?.started === true
  }

  get connected(): boolean {
    return this.started && this.#fresh?.connected === true
  }

  get ready(): boolean {
    return this.started && this.#fresh?.ready === true
  }

  /** Why `ready` is false, in a few words. */
  get whyNotReady(): string | undefined {
    if (this.ready) return undefined
    if (this.#report === undefined) return 'has not started yet'
    if (this.#fresh === undefined) return `sent no report for ${STALE_MS / 1000} s`
    return this.#fresh.whyNotReady ?? 'is not ready'
  }

  record(report: HealthReport): void {
    this.#report = report
    this.#reportedMs = this.#clock.monotonic()
  }

  /** The subprocess has ended; the next one has not reported yet. */
  forget(): void {
    this.#report = undefined
  }

  get #fresh(): HealthReport | undefined {
    return this.#clock.monotonic() - this.#reportedMs <= STALE_MS ? this.#report : undefined
  }
}
