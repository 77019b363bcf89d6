import type { Lane } from '../../claim/lane.ts'
import type { ClaimedRow } from '../../sql/claim/claim.ts'
import type { OutcomeTaker } from '../outcome/outcome.ts'

/**
 * 'running': its result will be written · 'aborted': asked to stop, an error is taken for an interruption · 'withdrawn': somebody
 * finished or deleted the job, the claim is released and the result dropped · 'lost': the job may belong to somebody else, its
 * result is dropped.
 */
export type AttemptState = 'running' | 'aborted' | 'withdrawn' | 'lost'

/** Which state gives way to which; what somebody else did to the row outweighs what happens to this process. */
const RANK: Readonly<Record<AttemptState, number>> = { running: 0, aborted: 1, lost: 2, withdrawn: 3 }

/** What attempts that were claimed together have in common. */
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
  /** Takes its outcome. */
  readonly outcomes: OutcomeTaker
  // Made when somebody asks: most bodies never look at their signal.
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

  /** The body has ended; its outcome may still be on its way. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  end(): void {
    this.#hasEnded = true
  }

  /** Asks the body to stop because the process does. */
  abort(reason: Error): void {
    this.#enter('aborted', reason)
  }

  /** Asks the body to stop because the job is no longer ours. */
  lose(reason: Error): void {
    this.#enter('lost', reason)
  }

  /** Asks the body to stop because somebody finished or deleted the job. */
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
