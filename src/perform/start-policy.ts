import type { Lane } from '../claim/lane.ts'
import type { ClaimRequest } from '../claim/lane-options.ts'
import type { ClaimedRow } from '../sql/claim/claim.ts'
import type { LimitedRow } from '../sql/concurrency/limited.ts'
import type { Clock } from '../time.ts'
import { type Attempt, attemptsOf } from './attempt/attempt.ts'
import type { OutcomeTaker } from './outcome/outcome.ts'

/** Decides when the start of a claimed job is written. */
export interface StartPolicy {
  /** Claims jobs. `request` is called when the lane is ready for this claim. */
  claim(lane: Lane, request: () => ClaimRequest): Promise<ClaimedJobs>
  /** Resolves when the completer has the outcome of every attempt that has ended. */
  drained(): Promise<void>
}

export interface ClaimedJobs {
  /** The rows that the claim has found, in their order. */
  readonly found: readonly (ClaimedRow | LimitedRow)[]
  /** Those of them that a concurrency rule limits: they are not started. */
  readonly limited: readonly LimitedRow[]
  /** The attempts to perform, as soon as they may begin. */
  readonly attempts: readonly Attempt[] | Promise<readonly Attempt[]>
}

export interface StartPolicyOptions {
  readonly completer: OutcomeTaker
  readonly clock: Clock
}

/** The claim itself writes the start, and the completer takes the outcomes. */
export class EagerStarts implements StartPolicy {
  readonly #options: StartPolicyOptions

  constructor(options: StartPolicyOptions) {
    this.#options = options
  }

  async claim(lane: Lane, request: () => ClaimRequest): Promise<ClaimedJobs> {
    const { completer, clock } = this.#options
    const { found, limited, rows, now } = await lane.claim(request)
    return {
      found,
      limited,
      attempts: attemptsOf(rows, { lane, claimedAt: now, taker: completer, startedMs: monotonic(clock) }),
    }
  }

  async drained(): Promise<void> {}
}

/** Never throws: claimed rows must become attempts, even if the user's clock throws. */
export const monotonic = (clock: Clock): number => {
  try {
    return clock.monotonic()
  } catch {
    return performance.now()
  }
}
