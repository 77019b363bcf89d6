import type { Lane } from '../claim/lane.ts'
import type { ClaimedRow } from '../sql/jobs-claim.ts'

/**
 * 'running': its result will be written · 'aborted': asked to stop, an error is taken for an interruption · 'lost': the job may
 * belong to somebody else, its result is dropped.
 */
export type AttemptState = 'running' | 'aborted' | 'lost'

/** An attempt of this process, from its claim until its outcome is settled. */
export class RunningAttempt {
  readonly row: ClaimedRow
  /** Stamp of the claim: locked_at and performed_at of the row. */
  readonly claimedAt: string
  readonly lane: Lane
  readonly startedMs: number
  readonly #controller = new AbortController()
  #state: AttemptState = 'running'

  constructor(claim: { row: ClaimedRow; claimedAt: string; lane: Lane; startedMs: number }) {
    this.row = claim.row
    this.claimedAt = claim.claimedAt
    this.lane = claim.lane
    this.startedMs = claim.startedMs
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get state(): AttemptState {
    return this.#state
  }

  /** Asks the body to stop because the process does. */
  abort(reason: Error): void {
    this.#enter('aborted', reason)
  }

  /** Asks the body to stop because the job is no longer ours. */
  lose(reason: Error): void {
    this.#enter('lost', reason)
  }

  #enter(state: AttemptState, reason: Error): void {
    if (this.#state === 'lost') return
    this.#state = state
    this.#controller.abort(reason)
  }
}
