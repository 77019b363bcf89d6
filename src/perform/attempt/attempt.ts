import type { Lane } from '../../claim/lane.ts'
import type { StoppingReason } from '../../job/pauses.ts'
import type { ClaimedRow } from '../../sql/claim/claim.ts'
import type { OutcomeTaker } from '../outcome/outcome.ts'
import type { StopRequest } from './run.ts'

/**
 * 'running': the result will be written · 'aborted': asked to stop; an error counts as an interruption · 'withdrawn': another
 * session finished or deleted the job; the claim is released and the result dropped · 'lost': the job may belong to another worker;
 * its result is dropped.
 */
type AttemptState = 'running' | 'aborted' | 'withdrawn' | 'lost'

/** Which state replaces which: a change of the row by another session outweighs an event in this process. */
const RANK: Readonly<Record<AttemptState, number>> = { running: 0, aborted: 1, lost: 2, withdrawn: 3 }

/** What the concurrency rules of a job mean for its attempt. */
export interface AttemptLimits {
  /** The scopes in which the attempt has a place. */
  readonly claimKeys: readonly string[]
  /** Why the rules are unknown: the attempt fails with this error. */
  readonly error?: Error | undefined
}

const NO_LIMITS: AttemptLimits = { claimKeys: [] }

/** An attempt of this process to run a job, from the claim of the job until its outcome is settled. */
export class Attempt implements StopRequest {
  readonly row: ClaimedRow
  /** Stamp of the claim: locked_at and performed_at of the row. */
  readonly claimedAt: string
  readonly lane: Lane
  readonly startedMs: number
  /** Receives the outcome of the attempt. */
  readonly taker: OutcomeTaker
  readonly limits: AttemptLimits
  // Created on first use: most jobs never read their signal.
  #controller: AbortController | undefined
  #reason: Error | undefined
  #state: AttemptState = 'running'
  #endedMs: number | undefined

  constructor(row: ClaimedRow, claim: SharedByClaim, limits = NO_LIMITS) {
    this.row = row
    this.limits = limits
    this.claimedAt = claim.claimedAt
    this.lane = claim.lane
    this.startedMs = claim.startedMs
    this.taker = claim.taker
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  get state(): AttemptState {
    return this.#state
  }

  get isStopped(): boolean {
    return this.#state !== 'running'
  }

  stoppingReason(): StoppingReason | false {
    if (this.#state === 'withdrawn') return 'force_discarded'
    return this.isStopped && 'stopping'
  }

  /** `perform()` has ended; the outcome may not be committed yet. */
  get hasEnded(): boolean {
    return this.#endedMs !== undefined
  }

  /** When `perform()` ended, by `performance.now()`. */
  get endedMs(): number | undefined {
    return this.#endedMs
  }

  end(): void {
    this.#endedMs = performance.now()
  }

  /** Asks the running job to stop because the process does. */
  abort(reason: Error): void {
    this.#enter('aborted', reason)
  }

  /** Asks the running job to stop because the job no longer belongs to this process. */
  lose(reason: Error): void {
    this.#enter('lost', reason)
  }

  /** Asks the running job to stop because another session finished or deleted it. */
  withdraw(reason: Error): void {
    this.#enter('withdrawn', reason)
  }

  #enter(state: AttemptState, reason: Error): void {
    if (RANK[state] <= RANK[this.#state]) return
    this.#state = state
    this.#reason ??= reason
    this.#controller?.abort(reason)
  }
}

type SharedByClaim = Pick<Attempt, 'claimedAt' | 'lane' | 'startedMs' | 'taker'>

/** Returns the attempts of jobs that were claimed together. */
export const attemptsOf = (
  rows: readonly ClaimedRow[],
  claim: SharedByClaim,
  limitsOf?: (row: ClaimedRow) => AttemptLimits,
): readonly Attempt[] => rows.map((row) => new Attempt(row, claim, limitsOf?.(row)))
