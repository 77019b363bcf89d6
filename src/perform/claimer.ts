import type { ClaimCursor, ClaimQuery } from '../claim/claim-cursor.ts'
import type { Lane } from '../claim/lane.ts'
import type { ClaimRequest, LockedRound } from '../claim/lane-options.ts'
import type { Configuration } from '../configuration.ts'
import { events } from '../events.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import type { QueueSelector } from '../sql/claim/candidates.ts'
import type { ClaimedRow } from '../sql/claim/claim.ts'
import type { Statement } from '../sql/connection/queryable.ts'
import type { RoundEnd } from '../sql/deferred/round-client.ts'
import type { LockedRow } from '../sql/deferred/statements.ts'
import { type Clock, microsecondText } from '../time.ts'
import { RunningAttempt } from './attempt/running.ts'
import { DeferralGate } from './deferred/gate.ts'
import { DeferredRound, startOf } from './deferred/round.ts'
import type { OutcomeTaker } from './outcome/outcome.ts'

export interface ClaimerOptions {
  readonly processId: string
  readonly registry: JobRegistry
  readonly completer: OutcomeTaker
  readonly configuration: Configuration
  readonly clock: Clock
}

export interface Claim {
  readonly attempts: readonly RunningAttempt[]
  /** When to claim again without being woken, milliseconds; undefined: only a wake tells of more. */
  readonly againInMs: number | undefined
}

/** Makes attempts of claimed rows, started at once or in a round of deferred starts. */
export class Claimer {
  readonly #options: ClaimerOptions
  readonly #gates = new WeakMap<Lane, DeferralGate>()
  readonly #rounds = new Set<Promise<void>>()

  constructor(options: ClaimerOptions) {
    this.#options = options
  }

  /** Claims up to `limit` jobs of the registered classes; their bodies have not begun yet. */
  async claim(lane: Lane, selector: QueueSelector, limit: () => number, cursor: ClaimCursor): Promise<Claim> {
    const { clock } = this.#options
    let query: ClaimQuery | undefined
    let againInMs: number | undefined
    const request = () => {
      query = cursor.begin(limit(), clock.monotonic(), selector.kind === 'include' && selector.isSnapshot)
      return this.#request(selector, query)
    }
    const found = (rows: readonly ClaimedRow[]) => {
      if (query !== undefined) againInMs = cursor.end(query, rows, this.#monotonic())
    }
    if (lane.defersStart && this.#gate(lane).isOpen()) {
      return { attempts: await this.#claimRound(lane, request, found), againInMs }
    }
    const { rows, now } = await lane.claim(request)
    found(rows)
    if (rows.length > 0) this.#gate(lane).trust()
    return { attempts: rows.map((row) => this.#attempt(lane, row, now, this.#options.completer)), againInMs }
  }

  /** Resolves when no round is open. */
  async roundsOver(): Promise<void> {
    while (this.#rounds.size > 0) await Promise.all(this.#rounds)
  }

  #claimRound(
    lane: Lane,
    request: () => ClaimRequest,
    found: (rows: readonly ClaimedRow[]) => void,
  ): Promise<RunningAttempt[]> {
    return new Promise((resolve, reject) => {
      let attempts: RunningAttempt[] = []
      const over = this.#runRound(lane, request, found, (started) => {
        attempts = started
        resolve(started)
      }).then(() => resolve(attempts), reject)
      this.#rounds.add(over)
      void over.finally(() => this.#rounds.delete(over))
    })
  }

  /** Hands out the attempts as soon as their bodies may begin. */
  async #runRound(
    lane: Lane,
    request: () => ClaimRequest,
    found: (rows: readonly ClaimedRow[]) => void,
    handOut: (attempts: RunningAttempt[]) => void,
  ): Promise<void> {
    const { completer, configuration, clock } = this.#options
    const gate = this.#gate(lane)
    let round: DeferredRound | undefined
    let eager: LockedRound | undefined
    const perform = async (locked: LockedRound): Promise<readonly Statement[]> => {
      found(locked.rows)
      if (locked.rows.some((row) => this.#startsEagerly(row))) {
        eager = locked
        return [startOf(locked.rows, locked)]
      }
      const taker = new DeferredRound(locked, completer, clock)
      round = taker
      handOut(locked.rows.map((row) => this.#attempt(lane, row, locked.now, taker)))
      return taker.due(configuration.deferStart, (error) => this.#report(error))
    }
    const onUnstarted = (error: unknown, attempt: number) => {
      gate.hold()
      this.#report(error, attempt, round?.pendingCount)
    }
    const end = await lane.round(request, perform, onUnstarted).catch((error) => {
      // Nobody waits for an answer any more when its attempts are handed out: their outcomes must not wait either.
      if (round === undefined) throw error
      this.#report(error)
      return undefined
    })
    if (end?.error !== undefined) this.#report(end.error)
    if ((round ?? eager) !== undefined) gate.roundOver(end !== undefined)
    if (round !== undefined) {
      gate.record(round.yield)
      round.end(end)
    } else if (eager !== undefined) {
      gate.record(0)
      handOut(this.#startedAttempts(lane, eager, end))
    } else {
      found([])
    }
  }

  /** Without an end nobody knows which of them are ours. */
  #startedAttempts(lane: Lane, { rows, now }: LockedRound, end: RoundEnd | undefined): RunningAttempt[] {
    if (end === undefined) {
      const ids = rows.map(({ id }) => id)
      lane.disown(ids, now)
      return []
    }
    const started = end.startedIds === undefined ? undefined : new Set(end.startedIds)
    const ours = rows.filter(({ id }) => started?.has(id) ?? true)
    return ours.map((row) => this.#attempt(lane, row, now, this.#options.completer))
  }

  #report(error: unknown, attempt = 1, jobs = 0): void {
    events.emit('outcome_write_failed', { processId: this.#options.processId, jobs, error, attempt })
  }

  /** Whose start others must see at once: what is limited, labelled, handles interruptions, or was interrupted before. */
  #startsEagerly(row: LockedRow): boolean {
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

  #gate(lane: Lane): DeferralGate {
    const known = this.#gates.get(lane)
    if (known) return known
    const gate = new DeferralGate()
    this.#gates.set(lane, gate)
    return gate
  }

  #request(selector: QueueSelector, { limit, from, newlyDue }: ClaimQuery): ClaimRequest {
    const { clock, registry, configuration } = this.#options
    // Read before the stamp of the rows: no job starts before its time.
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

  #attempt(lane: Lane, row: ClaimedRow, claimedAt: string, outcomes: OutcomeTaker): RunningAttempt {
    return new RunningAttempt({ row, claimedAt, lane, outcomes, startedMs: this.#monotonic() })
  }

  /** Of rows that are claimed there must be attempts, whatever a clock of the user's does. */
  #monotonic(): number {
    try {
      return this.#options.clock.monotonic()
    } catch {
      return performance.now()
    }
  }
}

/** A message tells a start cut to its millisecond, perhaps by a clock a little ahead: what starts within the current one is due. */
const dueUntil = (clock: Clock): string => microsecondText(clock.now().getTime() * 1000 + 999)

/** With a second for clocks that differ and enqueuing transactions that were still open. */
const dueSince = (clock: Clock, withinMs: number | undefined): string | undefined =>
  withinMs === undefined ? undefined : microsecondText(Math.floor(clock.now().getTime() - withinMs - 1_000) * 1000)
