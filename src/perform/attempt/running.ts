import type { Lane } from '../../claim/lane.ts'
import type { ClaimedRow } from '../../sql/claim/claim.ts'
import type { OutcomeTaker } from '../outcome/outcome.ts'

/**
 * 'running': the result will be written · 'aborted': asked to stop; an error counts as an interruption · 'withdrawn': another
 * session finished or deleted the job; the claim is released and the result dropped · 'lost': the job may belong to another worker;
 * its result is dropped.
 */
export type AttemptState = 'running' | 'aborted' | 'withdrawn' | 'lost'

/** Which state replaces which: a change of the row by another session outweighs an event in this process. */
const RANK: Readonly<Record<AttemptState, number>> = { running: 0, aborted: 1, lost: 2, withdrawn: 3 }

/** What attempts that were claimed together share. */
export interface AttemptOrigin {
  readonly claimedAt: string
  readonly lane: Lane
  readonly startedMs: number
  readonly outcomes: OutcomeTaker
}

/** An attempt of this process, from its claim until its outcome is settled. */
export class RunningAttempt {
  readonly row: ClaimedRow
  /** Stamp of the claim: locked_at and performed_at of the row. */
  readonly claimedAt: string
  readonly lane: Lane
  readonly startedMs: number
  /** Receives the outcome of the attempt. */
  readonly outcomes: OutcomeTaker
  // Created on first use: most jobs never read their signal.
  #controller: AbortController | undefined
  #reason: Error | undefined
  #state: AttemptState = 'running'
  #hasEnded = false

  constructor(row: ClaimedRow, claim: AttemptOrigin) {
    this.row = row
    this.claimedAt = claim.claimedAt
    this.lane = claim.lane
    this.startedMs = claim.startedMs
    this.outcomes = claim.outcomes
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

  /** `perform()` has ended; the outcome may not be committed yet. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  end(): void {
    this.#hasEnded = true
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
