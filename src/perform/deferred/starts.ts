import type { Lane } from '../../claim/lane.ts'
import type { ClaimRequest } from '../../claim/lane-options.ts'
import { type OpenRound, type RoundClosed, RoundLane } from '../../claim/round-lane.ts'
import type { Configuration } from '../../configuration.ts'
import { events } from '../../events.ts'
import type { JobRegistry } from '../../job/definition/registry.ts'
import type { Statement } from '../../sql/connection/queryable.ts'
import type { LockedRow } from '../../sql/deferred/statements.ts'
import { backoffMs, sleep } from '../../time.ts'
import { type Attempt, attemptsOf } from '../attempt/attempt.ts'
import type { OutcomeTaker } from '../outcome/outcome.ts'
import { type ClaimedJobs, EagerStarts, monotonic, type StartPolicy, type StartPolicyOptions } from '../start-policy.ts'
import { DeferralGate } from './gate.ts'
import { DeferredRound, startOf } from './round.ts'

export interface DeferredStartsOptions extends StartPolicyOptions {
  readonly processId: string
  readonly registry: JobRegistry
  readonly configuration: Configuration
}

/**
 * Locks jobs and runs them in rounds; start and end of the jobs that end in time are written together. If that does not pay off, or
 * other workers must see a start at once, the start is written first.
 */
export class DeferredStarts implements StartPolicy {
  readonly #options: DeferredStartsOptions
  readonly #eager: EagerStarts
  readonly #gates = new WeakMap<Lane, DeferralGate>()
  readonly #rounds = new Set<Promise<unknown>>()

  constructor(options: DeferredStartsOptions) {
    this.#options = options
    this.#eager = new EagerStarts(options)
  }

  async claim(lane: Lane, request: () => ClaimRequest): Promise<ClaimedJobs> {
    const gate = this.#gate(lane)
    if (lane instanceof RoundLane && gate.isOpen()) {
      const round = await lane.openRound(request)
      return round === undefined
        ? NO_JOBS
        : { found: round.rows, limited: [], attempts: this.#tracked(this.#begin(lane, gate, round)) }
    }
    const claimed = await this.#eager.claim(lane, request)
    if (claimed.found.length > 0) gate.startsWritten()
    return claimed
  }

  async drained(): Promise<void> {
    while (this.#rounds.size > 0) await Promise.allSettled(this.#rounds)
  }

  async #begin(lane: RoundLane, gate: DeferralGate, round: OpenRound): Promise<readonly Attempt[]> {
    try {
      if (round.rows.some((row) => this.#mustStartNow(row))) return await this.#startAll(lane, gate, round)
      const deferred = new DeferredRound(round, this.#options.completer, this.#options.clock)
      const attempts = this.#attempts(lane, round, deferred)
      void this.#tracked(this.#closeWhenDue(gate, round, deferred))
      return attempts
    } catch (error) {
      // A round that is never closed would block every later claim of the lane.
      round.abandon(error as Error)
      throw error
    }
  }

  /** Starts a round's attempts in the database before they run. */
  async #startAll(lane: RoundLane, gate: DeferralGate, round: OpenRound): Promise<readonly Attempt[]> {
    const closed = await this.#close(gate, round, [startOf(round.rows, round)])
    gate.record(0)
    if (closed.kind === 'unknown') {
      const ids = round.rows.map(({ id }) => id)
      lane.disown(ids, round.now)
      return []
    }
    const rows = closed.kind === 'started' ? closed.rows : round.rows
    return this.#attempts(lane, { ...round, rows }, this.#options.completer)
  }

  /** Never rejects: the attempts are already running, and their outcomes must not wait for a failed round. */
  async #closeWhenDue(gate: DeferralGate, round: OpenRound, deferred: DeferredRound): Promise<void> {
    let closed: RoundClosed = { kind: 'unknown' }
    try {
      const { statements, error } = await deferred.due(this.#options.configuration.deferStart)
      if (error !== undefined) this.#report(error)
      closed = await this.#close(gate, round, statements, deferred)
    } catch (error) {
      round.abandon(error as Error)
      gate.roundClosed(false)
      this.#report(error)
    }
    gate.record(deferred.yield)
    deferred.settle(closed)
  }

  /** Closes the round; jobs that can be neither written nor started are started as soon as possible. */
  async #close(
    gate: DeferralGate,
    round: OpenRound,
    statements: readonly Statement[],
    deferred?: DeferredRound,
  ): Promise<Exclude<RoundClosed, { kind: 'unstarted' }>> {
    for (let tries = 1; ; tries++) {
      const closed = await round.close(statements)
      if (closed.kind !== 'unstarted') {
        if (closed.kind === 'started' && closed.error !== undefined) this.#report(closed.error)
        gate.roundClosed(closed.kind !== 'unknown')
        return closed
      }
      gate.roundUnwritten()
      this.#report(closed.error, tries, deferred?.pendingCount)
      await sleep(backoffMs(tries), round.sessionEnd)
    }
  }

  /** Other workers must see the start of a job that is limited, is labelled, handles interruptions, or was interrupted before. */
  #mustStartNow(row: LockedRow): boolean {
    const jobClass = this.#options.registry.get(row.job_class)
    return (
      row.concurrency_key !== null ||
      row.labels !== null ||
      row.is_claimed ||
      row.interrupted_at !== null ||
      jobClass === undefined ||
      jobClass.interruptErrors ||
      jobClass.continuable
    )
  }

  #attempts(lane: Lane, { rows, now }: Pick<OpenRound, 'rows' | 'now'>, taker: OutcomeTaker): readonly Attempt[] {
    return attemptsOf(rows, { lane, claimedAt: now, taker, startedMs: monotonic(this.#options.clock) })
  }

  #gate(lane: Lane): DeferralGate {
    const known = this.#gates.get(lane)
    if (known) return known
    const gate = new DeferralGate()
    this.#gates.set(lane, gate)
    return gate
  }

  #tracked<T>(round: Promise<T>): Promise<T> {
    this.#rounds.add(round)
    const forget = () => void this.#rounds.delete(round)
    round.then(forget, forget)
    return round
  }

  #report(error: unknown, tries = 1, jobs = 0): void {
    events.emit('outcome_write_failed', { processId: this.#options.processId, jobs, error, attempt: tries })
  }
}

const NO_JOBS: ClaimedJobs = { found: [], limited: [], attempts: [] }
