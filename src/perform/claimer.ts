import type { ClaimCursor, ClaimQuery } from '../claim/claim-cursor.ts'
import type { Lane } from '../claim/lane.ts'
import type { ClaimRequest } from '../claim/lane-options.ts'
import type { Configuration } from '../configuration.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import type { QueueSelector } from '../sql/claim/candidates.ts'
import type { LimitedJobs } from '../sql/concurrency/limited.ts'
import { type Clock, microsecondText } from '../time.ts'
import { Attempt } from './attempt/attempt.ts'
import { type ClaimTimes, claimKeysOf, type LimitedClaims, type PoolLimits } from './limits/pool-limits.ts'
import type { Candidate } from './limits/rule-book.ts'
import type { OutcomeTaker } from './outcome/outcome.ts'
import { monotonic, type StartPolicy } from './start-policy.ts'

export interface ClaimerOptions {
  readonly registry: JobRegistry
  readonly configuration: Configuration
  readonly clock: Clock
  readonly starts: StartPolicy
  readonly completer: OutcomeTaker
}

/** The pool for which a claim is made. */
export interface PoolClaim {
  readonly selector: QueueSelector
  readonly cursor: ClaimCursor
  /** Undefined if no job of this worker has concurrency rules. */
  readonly limits: PoolLimits | undefined
  /** What the claim does with jobs that have rules. */
  readonly limited: LimitedJobs['claim']
}

export interface Claim {
  readonly attempts: readonly Attempt[]
  /** Jobs that start if they have a place under their concurrency rules. */
  readonly limited: readonly Candidate[]
  /** When to claim again without being woken, milliseconds; undefined: only after a wake-up. */
  readonly againInMs: number | undefined
}

/** Claims the jobs that a pool may run next, beginning at the position of its cursor. */
export class Claimer {
  readonly #options: ClaimerOptions

  constructor(options: ClaimerOptions) {
    this.#options = options
  }

  /** Claims up to `limit` jobs of the registered classes; none of them has begun to run. `limit` is called when it is the claim's turn. */
  async claim(lane: Lane, pool: PoolClaim, limit: () => number): Promise<Claim> {
    const { clock, starts } = this.#options
    const { cursor, selector, limits } = pool
    let query: ClaimQuery | undefined
    const request = () => {
      query = cursor.begin(limit(), clock.monotonic(), selector.kind === 'include' && selector.isSnapshot)
      if (query.kind === 'head' && pool.limited !== 'skip') limits?.beginAtHead()
      return this.#request(pool, query)
    }
    const { found, limited, attempts } = await starts.claim(lane, request)
    const againInMs = query && cursor.end(query, found, monotonic(clock))
    const candidates = limits === undefined || limited.length === 0 ? [] : await limits.candidates(limited)
    return { attempts: await attempts, limited: candidates, againInMs }
  }

  /** Returns up to `limit` jobs that waited for a place and may have one now. */
  nextWaiting(limits: PoolLimits, limit: number, claims: LimitedClaims): Promise<readonly Candidate[]> {
    return limits.next(limit, this.#times(), claims)
  }

  /** Starts those of the candidates that have a place. */
  async admit(lane: Lane, limits: PoolLimits, candidates: readonly Candidate[]): Promise<readonly Attempt[]> {
    const { clock, completer } = this.#options
    const times = this.#times()
    const admitted = await limits.admit(lane, candidates, times)
    const claim = { lane, claimedAt: times.now, taker: completer, startedMs: monotonic(clock) }
    return admitted.map(
      ({ row, candidate: { rules, error } }) => new Attempt(row, claim, { claimKeys: claimKeysOf(rules), error }),
    )
  }

  #request({ selector, limits, limited }: PoolClaim, { limit, from, newlyDue }: ClaimQuery): ClaimRequest {
    const { clock, configuration } = this.#options
    const times = this.#times()
    return {
      ...times,
      selector,
      limit,
      from,
      newlyDue: newlyDue && { before: newlyDue.before, after: dueSince(clock, newlyDue.withinMs) },
      sort: configuration.dequeueQuerySort,
      honoursPauses: configuration.enablePauses,
      selectLimit: configuration.queueSelectLimit,
      limits: limits?.limitedJobs(limited),
    }
  }

  #times(): ClaimTimes {
    const { clock, registry } = this.#options
    // Read before the time that is written to the rows, so that no job starts before it is due.
    const due = dueUntil(clock)
    return { jobClasses: registry.names(), now: clock.timestamp(), dueUntil: due }
  }
}

/**
 * NOTIFY carries `scheduled_at` truncated to milliseconds, and the sender's clock may be slightly ahead: every job within the current
 * millisecond counts as due.
 */
const dueUntil = (clock: Clock): string => microsecondText(clock.now().getTime() * 1000 + 999)

/** Allows one second for clocks that differ, and for enqueuing transactions that were still open. */
const dueSince = (clock: Clock, withinMs: number | undefined): string | undefined =>
  withinMs === undefined ? undefined : microsecondText(Math.floor(clock.now().getTime() - withinMs - 1_000) * 1000)
