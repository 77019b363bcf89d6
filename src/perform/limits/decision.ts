import type { PerformRule } from '../../job/concurrency/evaluation.ts'
import { type ScopeWindow, windowOf } from '../../sql/concurrency/starts.ts'
import { scopesOfRow } from './gate.ts'
import type { Candidate } from './rule-book.ts'

/** A scope of the candidates, as an admission counts it. */
export interface CountedScope {
  readonly claimKey: string
  readonly lockName: string
  readonly windows: readonly ScopeWindow[]
}

export interface Counts {
  /** Running jobs by claim key; absent: none. */
  readonly running: ReadonlyMap<string, number>
  /** Starts within each window, the newest first. */
  readonly starts: ReadonlyMap<ScopeWindow, readonly string[]>
  /** Claim keys of scopes whose lock another session holds. */
  readonly busy: ReadonlySet<string>
}

/** A job without a place. */
export interface Refusal {
  readonly candidate: Candidate
  /** The first rule without a place. */
  readonly rule: PerformRule
  /** When to try again, epoch milliseconds: the throttle allows the next start, or a lock may be free; undefined: when a job ends. */
  readonly opensAtMs: number | undefined
}

/** After a scope's lock could not be had, it is tried again after this time, milliseconds. */
export const BUSY_MS = 250

export interface Decision {
  readonly admitted: readonly Candidate[]
  readonly refused: readonly Refusal[]
}

type ThrottledRule = PerformRule & { readonly throttle: NonNullable<PerformRule['throttle']> }

const windowKey = ({ scope, throttle }: ThrottledRule): string =>
  JSON.stringify([scope.claimKey, throttle.count, throttle.seconds])

const isThrottled = (rule: PerformRule): rule is ThrottledRule => rule.throttle !== null

/** What has to be counted for these candidates: each scope and each throttle once. */
export class Census {
  readonly scopes: readonly CountedScope[]
  readonly #windows = new Map<string, ScopeWindow>()
  readonly #now: Date

  constructor(candidates: readonly Candidate[], now: Date) {
    this.#now = now
    const scopes = new Map<string, CountedScope & { windows: ScopeWindow[] }>()
    for (const rule of candidates.flatMap(({ rules }) => rules)) {
      const { claimKey, lockName } = rule.scope
      const scope = scopes.get(claimKey) ?? { claimKey, lockName, windows: [] }
      scopes.set(claimKey, scope)
      if (isThrottled(rule)) this.#addWindow(rule, scope.windows)
    }
    this.scopes = [...scopes.values()]
  }

  /** Decides in the given order. A job needs a place in each of its scopes, and takes one in each scope that its row shows. */
  decide(candidates: readonly Candidate[], counts: Counts): Decision {
    const places = new Places(this, counts, this.#now)
    const admitted: Candidate[] = []
    const refused: Refusal[] = []
    for (const candidate of candidates) {
      const lacking = candidate.rules.find((rule) => !places.has(rule))
      if (lacking === undefined) {
        places.take(candidate)
        admitted.push(candidate)
      } else {
        refused.push({ candidate, rule: lacking, opensAtMs: places.opensAtMs(lacking) })
      }
    }
    return { admitted, refused }
  }

  windowOf(rule: ThrottledRule): ScopeWindow | undefined {
    return this.#windows.get(windowKey(rule))
  }

  #addWindow(rule: ThrottledRule, windows: ScopeWindow[]): void {
    const key = windowKey(rule)
    if (this.#windows.has(key)) return
    const window = windowOf(rule.scope.claimKey, rule.throttle, this.#now)
    this.#windows.set(key, window)
    windows.push(window)
  }
}

/** The places that are taken in each scope, while an admission decides. */
class Places {
  readonly #census: Census
  readonly #counts: Counts
  readonly #now: Date
  readonly #taken = new Map<string, number>()

  constructor(census: Census, counts: Counts, now: Date) {
    this.#census = census
    this.#counts = counts
    this.#now = now
  }

  has(rule: PerformRule): boolean {
    return !this.#isBusy(rule) && this.#hasPlace(rule) && (!isThrottled(rule) || this.#hasStart(rule))
  }

  /** The row decides which scopes will count the job, as for the jobs that run already: its own rules may name fewer. */
  take({ row }: Candidate): void {
    for (const claimKey of scopesOfRow(row)) this.#taken.set(claimKey, this.#takenIn(claimKey) + 1)
  }

  /** When to try a refused job again; undefined if its limit refused it. */
  opensAtMs(rule: PerformRule): number | undefined {
    if (this.#isBusy(rule)) return this.#now.getTime() + BUSY_MS
    if (!isThrottled(rule) || !this.#hasPlace(rule)) return undefined
    const { count, seconds } = rule.throttle
    // Of the starts within the window as many as the throttle allows must have left it but for one.
    const oldest = this.#startsOf(rule)[Math.ceil(count) - 1 - this.#takenIn(rule.scope.claimKey)]
    // The text is truncated to milliseconds, so the start leaves the window within the next one.
    return (oldest === undefined ? this.#now.getTime() : Date.parse(oldest) + 1) + seconds * 1_000
  }

  #isBusy({ scope }: PerformRule): boolean {
    return this.#counts.busy.has(scope.claimKey)
  }

  #hasPlace({ scope, limit }: PerformRule): boolean {
    const running = (this.#counts.running.get(scope.claimKey) ?? 0) + this.#takenIn(scope.claimKey)
    return limit === null || running < limit
  }

  #hasStart(rule: ThrottledRule): boolean {
    return this.#startsOf(rule).length + this.#takenIn(rule.scope.claimKey) < rule.throttle.count
  }

  #startsOf(rule: ThrottledRule): readonly string[] {
    const window = this.#census.windowOf(rule)
    return (window && this.#counts.starts.get(window)) ?? []
  }

  #takenIn(claimKey: string): number {
    return this.#taken.get(claimKey) ?? 0
  }
}
