import type { ClaimCursor } from '../../claim/claim-cursor.ts'
import type { Lane } from '../../claim/lane.ts'
import type { CandidateOptions, QueueSelector } from '../../sql/claim/candidates.ts'
import type { ClaimedRow } from '../../sql/claim/claim.ts'
import { countRunning } from '../../sql/concurrency/admission.ts'
import type { LimitedJobs, LimitedRow } from '../../sql/concurrency/limited.ts'
import { findWaitingInScopes } from '../../sql/concurrency/waiting.ts'
import type { Database } from '../../sql/database.ts'
import type { Clock } from '../../time.ts'
import { Census } from './decision.ts'
import type { Candidate, RuleBook } from './rule-book.ts'
import { WaitingList } from './waiting-list.ts'

export interface PoolLimitsOptions {
  readonly book: RuleBook
  readonly database: Database
  readonly selector: QueueSelector
  readonly sort: CandidateOptions['sort']
  readonly honoursPauses: boolean
  readonly clock: Clock
}

/** The values of a claim, read when it is sent. */
export interface ClaimTimes {
  readonly now: string
  readonly dueUntil: string
  readonly jobClasses: readonly string[]
}

/** A job that an admission has started. */
export interface AdmittedRow {
  readonly row: ClaimedRow
  readonly candidate: Candidate
}

/** Waiting jobs that one query returns for all scopes together, and for one scope at least. */
const READ_JOBS = 256
const MIN_READ_JOBS = 10
/** After a scope's lock could not be had, it is tried again after this time, milliseconds. */
const BUSY_MS = 250
/** The places of full scopes are counted again at most this often, milliseconds, and this many times the duration of the count. */
const RECOUNT_MS = 100
const RECOUNT_FACTOR = 10

/** The concurrency limits of one pool: which jobs wait, and which of them get a place. */
export class PoolLimits {
  readonly #options: PoolLimitsOptions
  readonly #waiting: WaitingList
  #wantsRecount = false
  #recountNotBeforeMs = 0

  constructor(options: PoolLimitsOptions) {
    this.#options = options
    this.#waiting = new WaitingList(options.selector, options.sort)
  }

  /** Whether a job that waits may have a place now. */
  get hasFree(): boolean {
    this.#waiting.passTime(this.#nowMs())
    return this.#waiting.hasFree || this.#isRecountDue()
  }

  /** When a waiting job may have a place although no job of this process ends, epoch milliseconds; infinite if unknown. */
  get nextCheckMs(): number {
    const { clock } = this.#options
    const recountMs = this.#wantsRecount
      ? this.#nowMs() + Math.max(0, this.#recountNotBeforeMs - clock.monotonic())
      : Number.POSITIVE_INFINITY
    return Math.min(this.#waiting.opensAtMs, recountMs)
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

  /** Returns up to `limit` waiting jobs that may have a place. None of them sorts behind the jobs that the cursor has not reached yet. */
  async next(limit: number, times: ClaimTimes, cursor: ClaimCursor): Promise<readonly Candidate[]> {
    if (this.#isRecountDue()) await this.#recount()
    if (this.#waiting.toRead.length > 0) await this.#read(times)
    const candidates = this.#waiting.take(limit, cursor.position)
    const sinceMs = this.#waiting.takeClosedSince()
    if (sinceMs !== undefined) cursor.reopen(sinceMs)
    return candidates
  }

  /** Starts those of the candidates that have a place. The others wait. */
  async admit(lane: Lane, candidates: readonly Candidate[], times: ClaimTimes): Promise<readonly AdmittedRow[]> {
    const census = new Census(candidates, this.#options.clock.now())
    const claimKeys = census.scopes.map(({ claimKey }) => claimKey)
    this.#waiting.beginCount(claimKeys)
    try {
      return await this.#admit(lane, census, candidates, times)
    } catch (error) {
      this.#putBack(candidates, this.#nowMs() + BUSY_MS)
      throw error
    } finally {
      this.#waiting.endCount(claimKeys)
    }
  }

  async #admit(
    lane: Lane,
    census: Census,
    candidates: readonly Candidate[],
    times: ClaimTimes,
  ): Promise<readonly AdmittedRow[]> {
    const admission = await lane.openAdmission(census.scopes)
    if (admission === undefined || admission === 'busy') {
      this.#putBack(candidates, this.#nowMs() + BUSY_MS)
      return []
    }
    const { admitted, refused } = census.decide(candidates, admission)
    this.#waiting.refuse(refused)
    if (admitted.length === 0) {
      await admission.abandon()
      return []
    }
    const { honoursPauses } = this.#options
    const jobs = admitted.map(({ row, rules }) => ({ id: row.id, claimKeys: claimKeysOf(rules) }))
    const rows = await admission.start(jobs, { ...times, honoursPauses })
    const started = new Map(rows.map((row) => [row.id, row]))
    this.#waiting.skip(
      admitted.filter(({ row }) => !started.has(row.id)),
      this.#nowMs(),
    )
    return admitted.flatMap((candidate) => {
      const row = started.get(candidate.row.id)
      return row === undefined ? [] : { row, candidate }
    })
  }

  /** Nothing was decided about these jobs. */
  #putBack(candidates: readonly Candidate[], opensAtMs: number): void {
    this.#waiting.refuse(
      candidates.flatMap((candidate) => {
        const claimKey = candidate.rules[0]?.scope.claimKey
        return claimKey === undefined ? [] : { candidate, claimKey, opensAtMs }
      }),
    )
  }

  async #read(times: ClaimTimes): Promise<void> {
    const { database, book, clock, selector, sort, honoursPauses } = this.#options
    const scopes = this.#waiting.toRead
    const readMs = clock.monotonic()
    const perScope = powerOfTwo(Math.max(MIN_READ_JOBS, READ_JOBS / scopes.length))
    const { knownIds, exclusions } = this.#waiting
    const limits = book.limitedJobs('read', exclusions)
    const { dueUntil, jobClasses } = times
    const options = { limits, selector, sort, honoursPauses, dueUntil, jobClasses, knownIds, perScope }
    const rows = await findWaitingInScopes(database.pool, await database.facts(), scopes, options)
    const candidates = await book.candidates(rows)
    for (const { claimKey } of scopes) {
      const own = candidates.filter((_, index) => rows[index]?.claim_key === claimKey)
      this.#waiting.add(claimKey, own, { isAll: own.length < perScope, readMs })
    }
  }

  #isRecountDue(): boolean {
    return this.#wantsRecount && this.#waiting.size > 0 && this.#options.clock.monotonic() >= this.#recountNotBeforeMs
  }

  /** Finds places that other processes have freed. */
  async #recount(): Promise<void> {
    const { database, clock } = this.#options
    this.#wantsRecount = false
    const { full } = this.#waiting
    if (full.length === 0) return
    const beganMs = clock.monotonic()
    const claimKeys = full.map(({ claimKey }) => claimKey)
    const running = await countRunning(database.pool, await database.facts(), claimKeys)
    const answeredMs = clock.monotonic()
    this.#recountNotBeforeMs = answeredMs + Math.max(RECOUNT_MS, RECOUNT_FACTOR * (answeredMs - beganMs))
    this.free(
      full.filter(({ claimKey, limit }) => (running.get(claimKey) ?? 0) < limit).map(({ claimKey }) => claimKey),
    )
  }

  #nowMs(): number {
    return this.#options.clock.now().getTime()
  }
}

export const claimKeysOf = (rules: Candidate['rules']): readonly string[] => [
  ...new Set(rules.map(({ scope }) => scope.claimKey)),
]

/** The number is a literal in the text of the query, so there must not be many different ones. */
const powerOfTwo = (limit: number): number => 2 ** Math.ceil(Math.log2(limit))
