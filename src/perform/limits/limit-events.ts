import { events } from '../../events.ts'
import type { Clock } from '../../time.ts'
import type { Refusal } from './decision.ts'

/** A scope in which no job was refused for this long is no longer full, milliseconds. */
const QUIET_MS = 60_000
/** From this number of scopes on, those that are no longer full are forgotten. */
const MANY_SCOPES = 1_000

export interface LimitEventsOptions {
  readonly processId: string
  readonly clock: Clock
}

/**
 * Emits that a scope became full, or that its throttle is used up: once when that begins, not for each refused job. A full scope loses a
 * place and gains another with every job that ends, so the scope counts as full until it refused no job for a minute.
 */
export class LimitEvents {
  readonly #options: LimitEventsOptions
  /** When each scope last refused a job, monotonic milliseconds. */
  readonly #refusedMs = new Map<string, number>()

  constructor(options: LimitEventsOptions) {
    this.#options = options
  }

  /** `isKnown` returns whether jobs wait for a place in the scope already. */
  refuse(refusals: readonly Refusal[], isKnown: (claimKey: string) => boolean): void {
    const nowMs = this.#options.clock.monotonic()
    const first = new Map<string, Refusal>()
    for (const refusal of refusals) {
      const name = `${refusal.opensAtMs === undefined ? 'limited' : 'throttled'} ${refusal.rule.scope.claimKey}`
      if (!first.has(name)) first.set(name, refusal)
    }
    for (const [name, refusal] of first) {
      const lastMs = this.#refusedMs.get(name) ?? Number.NEGATIVE_INFINITY
      this.#refusedMs.set(name, nowMs)
      if (nowMs - lastMs > QUIET_MS && !(lastMs > Number.NEGATIVE_INFINITY && isKnown(refusal.rule.scope.claimKey))) {
        this.#emit(refusal)
      }
    }
    if (this.#refusedMs.size > MANY_SCOPES) this.#forget(nowMs, isKnown)
  }

  #emit({ candidate: { row }, rule: { scope, limit, throttle }, opensAtMs }: Refusal): void {
    const { processId } = this.#options
    const job = { processId, key: scope.claimKey, jobClass: row.job_class, jobId: row.id }
    if (opensAtMs === undefined) events.emit('concurrency_limited', { ...job, limit: limit ?? 0 })
    else if (throttle !== null) {
      events.emit('concurrency_throttled', { ...job, ...throttle, until: new Date(opensAtMs) })
    }
  }

  #forget(nowMs: number, isKnown: (claimKey: string) => boolean): void {
    for (const [name, lastMs] of this.#refusedMs) {
      const claimKey = name.slice(name.indexOf(' ') + 1)
      if (nowMs - lastMs > QUIET_MS && !isKnown(claimKey)) this.#refusedMs.delete(name)
    }
  }
}
