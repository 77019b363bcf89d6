import type { LockedRound, RoundClosed } from '../../claim/round-lane.ts'
import type { Statement } from '../../sql/connection/queryable.ts'
import {
  deleteLockedJobs,
  finishLockedJobs,
  type LockedOutcome,
  type LockedRow,
  startLockedRows,
} from '../../sql/deferred/statements.ts'
import { after, type Clock } from '../../time.ts'
import type { Outcome, OutcomeTaker } from '../outcome/outcome.ts'

/** 'open': jobs run · 'closing': the outcomes so far are being written · 'over': outcomes go to the completer. */
type RoundState = 'open' | 'closing' | 'over'

/**
 * Jobs that were locked together and run before their start is written. Jobs that end in time are written in one go: start, end
 * and execution. The other jobs are started, and their outcomes go to the completer like those of any other attempt.
 */
export class DeferredRound implements OutcomeTaker {
  readonly #round: LockedRound
  readonly #completer: OutcomeTaker
  readonly #clock: Clock
  #state: RoundState = 'open'
  #running: number
  /** Outcomes that arrived while the round was open: those that it writes, and the others. */
  #ended: Outcome[] = []
  #others: Outcome[] = []
  #endEarly: () => void = () => {}

  constructor(round: LockedRound, completer: OutcomeTaker, clock: Clock) {
    this.#round = round
    this.#completer = completer
    this.#clock = clock
    this.#running = round.rows.length
  }

  get hasStarted(): boolean {
    return this.#state === 'over'
  }

  complete(outcome: Outcome): void {
    if (this.#state === 'over') {
      this.#completer.complete(outcome)
      return
    }
    this.#running -= 1
    if (this.#state === 'open' && isWrittenAtOnce(outcome)) this.#ended.push(outcome)
    else this.#others.push(outcome)
    if (this.#running === 0) this.#endEarly()
  }

  /** Resolves when every attempt has ended, or after `limitMs`, with the statements to be written. */
  async due(limitMs: number): Promise<DueStatements> {
    await new Promise<void>((resolve) => {
      const timer = after(limitMs, resolve)
      this.#endEarly = () => {
        clearTimeout(timer)
        resolve()
      }
      if (this.#running === 0) this.#endEarly()
    })
    this.#state = 'closing'
    try {
      return { statements: this.#statements() }
    } catch (error) {
      // Outcomes that cannot be put into a statement go to the completer. The jobs are started, and the completer finds the cause.
      this.#others.push(...this.#ended)
      this.#ended = []
      return { statements: [startOf(this.#round.rows, this.#round)], error }
    }
  }

  /** Outcomes that wait for the end of the round. */
  get pendingCount(): number {
    return this.#ended.length + this.#others.length
  }

  /** The share of the jobs whose outcome the round could write. */
  get yield(): number {
    return this.#ended.length / this.#round.rows.length
  }

  /**
   * Settles the written outcomes and passes the rest to the completer. If the result is unknown, the completer's fence finds out
   * what was written.
   */
  settle({ kind }: RoundClosed): void {
    this.#state = 'over'
    const rest = kind === 'written' ? this.#others : [...this.#ended, ...this.#others]
    if (kind === 'written') for (const outcome of this.#ended) outcome.settled('written')
    for (const outcome of rest) this.#completer.complete(outcome)
    this.#ended = []
    this.#others = []
  }

  #statements(): readonly Statement[] {
    const { facts, processId, rows } = this.#round
    const ended = new Map(this.#ended.map((outcome) => [outcome.row.id, outcome]))
    const finished: LockedOutcome[] = []
    const deletedIds: string[] = []
    const unended: LockedRow[] = []
    for (const row of rows) {
      const outcome = ended.get(row.id)
      if (outcome === undefined) unended.push(row)
      else if (outcome.write === 'finish') finished.push({ row, columns: outcome.columns })
      else deletedIds.push(row.id)
    }
    const statements: Statement[] = []
    if (finished.length > 0) {
      statements.push(finishLockedJobs(facts, finished, { now: this.#clock.timestamp(), processId }))
    }
    if (deletedIds.length > 0) statements.push(deleteLockedJobs(deletedIds))
    if (unended.length > 0) statements.push(startOf(unended, this.#round))
    return statements
  }
}

/** The statements that a round writes at its end. */
interface DueStatements {
  readonly statements: readonly Statement[]
  /** Why the statements do not contain the outcomes. */
  readonly error?: unknown
}

/** Returns the statement that starts jobs of a round. */
export const startOf = (rows: readonly LockedRow[], { facts, now, processId }: LockedRound): Statement =>
  startLockedRows(facts, rows, { now, processId })

/** Batches are checked with the outcome, and retries notify the workers: both are the completer's work. */
const isWrittenAtOnce = ({ row, write, isLost }: Outcome): boolean =>
  (write === 'finish' || write === 'delete') && row.batch_id === null && row.batch_callback_id === null && !isLost()
