import type { ClaimCursor, ClaimQuery } from '../claim/claim-cursor.ts'
import type { Lane } from '../claim/lane.ts'
import type { ClaimRequest } from '../claim/lane-options.ts'
import type { Configuration } from '../configuration.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import type { QueueSelector } from '../sql/claim/candidates.ts'
import { type Clock, microsecondText } from '../time.ts'
import type { Attempt } from './attempt/attempt.ts'
import { monotonic, type StartPolicy } from './start-policy.ts'

export interface ClaimerOptions {
  readonly registry: JobRegistry
  readonly configuration: Configuration
  readonly clock: Clock
  readonly starts: StartPolicy
}

export interface Claim {
  readonly attempts: readonly Attempt[]
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
  async claim(lane: Lane, selector: QueueSelector, limit: () => number, cursor: ClaimCursor): Promise<Claim> {
    const { clock, starts } = this.#options
    let query: ClaimQuery | undefined
    const request = () => {
      query = cursor.begin(limit(), clock.monotonic(), selector.kind === 'include' && selector.isSnapshot)
      return this.#request(selector, query)
    }
    const { rows, attempts } = await starts.claim(lane, request)
    const againInMs = query && cursor.end(query, rows, monotonic(clock))
    return { attempts: await attempts, againInMs }
  }

  #request(selector: QueueSelector, { limit, from, newlyDue }: ClaimQuery): ClaimRequest {
    const { clock, registry, configuration } = this.#options
    // Read before the time that is written to the rows, so that no job starts before it is due.
    const due = dueUntil(clock)
    return {
      selector,
      limit,
      from,
      newlyDue: newlyDue && { before: newlyDue.before, after: dueSince(clock, newlyDue.withinMs) },
      jobClasses: registry.names(),
      sort: configuration.dequeueQuerySort,
      honoursPauses: configuration.enablePauses,
      selectLimit: configuration.queueSelectLimit,
      now: clock.timestamp(),
      dueUntil: due,
    }
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
