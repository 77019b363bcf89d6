import type { Lane } from '../../claim/lane.ts'
import type { CandidateOptions, Position, QueueSelector } from '../../sql/claim/candidates.ts'
import type { ClaimedRow } from '../../sql/claim/claim.ts'
import { countRunning } from '../../sql/concurrency/admission.ts'
import type { LimitedJobs, LimitedRow } from '../../sql/concurrency/limited.ts'
import { findWaitingInScopes } from '../../sql/concurrency/waiting.ts'
import type { Database } from '../../sql/database.ts'
import type { Clock } from '../../time.ts'
import { BUSY_MS, Census } from './decision.ts'
import { gateIdOf } from './gate.ts'
import type { LimitEvents } from './limit-events.ts'
import { Pace } from './pace.ts'
import type { Candidate, RuleBook } from './rule-book.ts'
import { StartOrder } from './start-order.ts'
import { WaitingList } from './waiting-list.ts'

export interface PoolLimitsOptions {
  readonly book: RuleBook
  readonly database: Database
  readonly selector: QueueSelector
  readonly sort: CandidateOptions['sort']
  readonly honoursPauses: boolean
  readonly clock: Clock
  readonly limitEvents: LimitEvents
}

/** The values of a claim, read when it is sent. */
export interface ClaimTimes {
  readonly now: string
  readonly dueUntil: string
  readonly jobClasses: readonly string[]
}

/** The claims of a pool that return jobs with concurrency rules. */
export interface LimitedClaims {
  /** Where the next claim begins, if there are jobs behind that have not been claimed. */
  readonly position: Position | undefined
  /** Jobs that became due since then may have been left out: claims are to find them. */
  reopen(sinceMs: number): void
}

/** A job that an admission has started. */
export interface AdmittedRow {
  readonly row: ClaimedRow
  readonly candidate: Candidate
}

/** Waiting jobs that one query returns for all scopes together, and for one scope at least. */
const READ_JOBS = 256
const MIN_READ_JOBS = 10
/** A job that was due and free, but could not be started, is not tried again for this long, milliseconds. */
const SKIPPED_MS = 1_000
/** Functions of rules are called again for this many waiting jobs, at most. */
const RENEWED_JOBS = 100

/** The concurrency limits of one pool: which jobs wait, and which of them get a place. */
export class PoolLimits {
  readonly #options: PoolLimitsOptions
  readonly #waiting: WaitingList
  /** Scopes whose lock another session held when it was last wanted. */
  readonly #busy = new Set<string>()
  readonly #recounts = new Pace()
  readonly #readings = new Pace()
  #wantsRecount = false

  constructor(options: PoolLimitsOptions) {
    this.#options = options
    this.#waiting = new WaitingList(new StartOrder(options.selector, options.sort))
  }

  /** Whether a job that waits may have a place now, or claims may find one that they had left out. */
  get hasFree(): boolean {
    this.#waiting.passTime(this.#nowMs())
    return this.#waiting.hasFree || this.#isRecountDue()
  }

  /** When `hasFree` may become true by itself, epoch milliseconds; infinite if unknown. */
  get nextCheckMs(): number {
    const waitMs = this.#recounts.waitMs(this.#monotonicMs())
    // A recount that is due waits for a slot or for the lane, and their owners wake the pool.
    const recountMs = this.#wantsRecount && this.#waiting.size > 0 && waitMs > 0 ? this.#nowMs() + waitMs : undefined
    this.#waiting.passTime(this.#nowMs())
    return Math.min(this.#waiting.opensAtMs, recountMs ?? Number.POSITIVE_INFINITY)
  }

  /** The jobs that a claim must not start, and those that it leaves out. */
  limitedJobs(claim: LimitedJobs['claim']): LimitedJobs {
    return this.#options.book.limitedJobs(claim, this.#waiting.exclusions)
  }

  /** Places of these scopes may be free; undefined: of some. Returns whether a job of this pool may wait for one. */
  free(claimKeys: readonly string[] | undefined): boolean {
    if (claimKeys === undefined) this.#wantsRecount = true
    for (const claimKey of claimKeys ?? this.#waiting.counting) this.#waiting.free(claimKey)
    return this.#isRecountDue() || this.#waiting.hasFree
  }

  /** The pool was woken: there may be new jobs, and another process may have freed places. */
  wake(): void {
    this.#waiting.expectNewJobs()
    this.free(undefined)
  }

  /** A claim begins at the head: it finds the waiting jobs that may have a place in the order of all jobs. */
  beginAtHead(): void {
    this.#waiting.forgetFree()
  }

  /** Returns jobs with their rules. */
  candidates(rows: readonly LimitedRow[]): Promise<Candidate[]> {
    return this.#options.book.candidates(rows)
  }

  /** Finds places that other processes have freed, if that is due. Returns whether a waiting job may have a place. */
  async refresh(): Promise<boolean> {
    if (this.#isRecountDue()) await this.#recount()
    return this.#waiting.hasFree
  }

  /** Returns up to `limit` waiting jobs that may have a place. None of them sorts behind the jobs that no claim has reached yet. */
  async next(limit: number, times: ClaimTimes, claims: LimitedClaims): Promise<readonly Candidate[]> {
    await this.#read(times)
    const candidates = this.#waiting.take(limit, claims.position)
    const sinceMs = this.#waiting.takeLeftOutSince()
    if (sinceMs !== undefined) claims.reopen(sinceMs)
    return this.#options.book.renewed(candidates)
  }

  /** Starts those of the candidates that have a place. The others wait. */
  async admit(lane: Lane, candidates: readonly Candidate[], times: ClaimTimes): Promise<readonly AdmittedRow[]> {
    const now = this.#options.clock.now()
    const census = new Census(candidates, now)
    const claimKeys = census.scopes.map(({ claimKey }) => claimKey)
    this.#waiting.beginCount(claimKeys)
    try {
      return await this.#admit(lane, census, candidates, { ...times, nowMs: now.getTime() })
    } catch (error) {
      this.#putBack(candidates, now.getTime())
      throw error
    } finally {
      this.#waiting.endCount(claimKeys)
    }
  }

  async #admit(
    lane: Lane,
    census: Census,
    candidates: readonly Candidate[],
    times: ClaimTimes & { readonly nowMs: number },
  ): Promise<readonly AdmittedRow[]> {
    const scopes = census.scopes.map((scope) => ({ ...scope, wasBusy: this.#busy.has(scope.claimKey) }))
    const skippedAt = { untilMs: times.nowMs + SKIPPED_MS, nowMs: this.#monotonicMs() }
    const admission = await lane.openAdmission(scopes)
    if (admission === undefined) {
      this.#putBack(candidates, times.nowMs)
      return []
    }
    this.#noteBusy(census, admission.busy)
    const { admitted, refused } = census.decide(candidates, admission)
    const decided = refused.filter(({ rule }) => !admission.busy.has(rule.scope.claimKey))
    this.#options.limitEvents.refuse(decided, this.#waiting.has)
    this.#waiting.refuse(refused)
    if (admitted.length === 0) {
      await admission.abandon()
      return []
    }
    const { honoursPauses } = this.#options
    const jobs = admitted.map(({ row, rules }) => ({ row, claimKeys: claimKeysOf(rules) }))
    const rows = await admission.start(jobs, { ...times, honoursPauses })
    const started = new Map(rows.map((row) => [row.id, row]))
    this.#waiting.skip(
      admitted.filter(({ row }) => !started.has(row.id)),
      skippedAt,
    )
    return admitted.flatMap((candidate) => {
      const row = started.get(candidate.row.id)
      return row === undefined ? [] : { row, candidate }
    })
  }

  /** Nothing was decided about these jobs: they are tried again after a pause. */
  #putBack(candidates: readonly Candidate[], nowMs: number): void {
    const opensAtMs = nowMs + BUSY_MS
    const refusals = candidates.flatMap((candidate) => {
      const [rule] = candidate.rules
      return rule === undefined ? [] : { candidate, rule, opensAtMs }
    })
    this.#waiting.refuse(refusals)
    const others = candidates.filter(({ rules }) => rules.length === 0)
    this.#waiting.skip(others, { untilMs: opensAtMs, nowMs: this.#monotonicMs() })
  }

  #noteBusy({ scopes }: Census, busy: ReadonlySet<string>): void {
    for (const { claimKey } of scopes) {
      if (busy.has(claimKey)) this.#busy.add(claimKey)
      else this.#busy.delete(claimKey)
    }
  }

  async #read(times: ClaimTimes): Promise<void> {
    const { database, book, selector, sort, honoursPauses } = this.#options
    const beganMs = this.#monotonicMs()
    const reading = this.#waiting.beginReading(beganMs, this.#readings.waitMs(beganMs) === 0)
    const { scopes } = reading
    if (scopes.length === 0) return
    const perScope = powerOfTwo(Math.max(MIN_READ_JOBS, READ_JOBS / scopes.length))
    const limits = book.limitedJobs('read', this.#waiting.readExclusions)
    const { dueUntil, jobClasses } = times
    const options = { limits, selector, sort, honoursPauses, dueUntil, jobClasses, perScope }
    const rows = await findWaitingInScopes(database.pool, await database.facts(), scopes, options)
    const candidates = await book.candidates(rows)
    for (const { claimKey } of scopes) {
      const own = candidates.filter((_, index) => rows[index]?.claim_key === claimKey)
      this.#waiting.add(claimKey, own, reading, own.length < perScope)
    }
    this.#readings.note(beganMs, this.#monotonicMs())
  }

  #isRecountDue(): boolean {
    return this.#wantsRecount && this.#waiting.size > 0 && this.#recounts.waitMs(this.#monotonicMs()) === 0
  }

  /** Finds places that other processes have freed, and limits that have changed. */
  async #recount(): Promise<void> {
    const { database } = this.#options
    this.#wantsRecount = false
    const beganMs = this.#monotonicMs()
    try {
      await this.#callFunctionsAgain()
      const full = this.#waiting.closed.filter(({ waitsForPlace }) => waitsForPlace)
      if (full.length === 0) return
      const claimKeys = [...new Set(full.map(({ claimKey }) => claimKey))]
      const running = await countRunning(database.pool, await database.facts(), claimKeys)
      const hasPlace = full.filter(({ claimKey, limit }) => limit === null || (running.get(claimKey) ?? 0) < limit)
      this.free(hasPlace.map(({ claimKey }) => claimKey))
    } catch (error) {
      this.#wantsRecount = true
      throw error
    } finally {
      this.#recounts.note(beganMs, this.#monotonicMs())
    }
  }

  /** Frees the scopes of jobs for which a function of their class returns another rule than the one that refused them. */
  async #callFunctionsAgain(): Promise<void> {
    const computed = this.#waiting.closed.flatMap((gate) =>
      gate.jobs.filter(({ isComputed }) => isComputed).map((candidate) => ({ gate, candidate })),
    )
    const some = computed.slice(0, RENEWED_JOBS)
    const renewed = await this.#options.book.renewed(some.map(({ candidate }) => candidate))
    for (const [index, { gate }] of some.entries()) {
      const isRefusedStill = renewed[index]?.rules.some((rule) => gateIdOf(rule) === gate.id)
      if (!isRefusedStill) this.#waiting.free(gate.claimKey)
    }
  }

  #nowMs(): number {
    return this.#options.clock.now().getTime()
  }

  #monotonicMs(): number {
    return this.#options.clock.monotonic()
  }
}

export const claimKeysOf = (rules: Candidate['rules']): readonly string[] => [
  ...new Set(rules.map(({ scope }) => scope.claimKey)),
]

/** The number is a literal in the text of the query, so there must not be many different ones. */
const powerOfTwo = (limit: number): number => 2 ** Math.ceil(Math.log2(limit))
