import type { CandidateOptions, Position } from '../sql/claim/candidates.ts'
import type { ClaimedRow } from '../sql/claim/claim.ts'

/**
 * A look at the head is not repeated for every wake if it takes longer than this and so much for each job that it found, milliseconds, and
 * longer than so many times what claims that go on from the position take for as many.
 */
const CHEAP_LOOK_MS = 5
const CHEAP_JOB_MS = 0.2
const CHEAP_FACTOR = 2
/** Weight of the last claim in what they take on the average. */
const SMOOTHING = 0.2
/** A look for what fell due that takes longer and finds nothing is not repeated for every wake, milliseconds. */
const CHEAP_DUE_LOOK_MS = 50
/** Share of the time that looks elsewhere than at the position may take: the next comes after this many times what the last took. */
const PAUSE_FACTOR = 10
const MAX_PAUSE_MS = 5_000
/** A pool that is never idle looks so often before its position while nothing is found there, milliseconds. */
const UNASKED_LOOK_MS = 100

/** A claim under way. */
export interface Look {
  /** Jobs that are asked for. */
  readonly limit: number
  /** Where it begins; undefined: at the head. */
  readonly from: Position | undefined
  /** It looks for jobs by the time at which they fell due. */
  readonly fallenDue: FallenDue | undefined
  /** It names the queues that a pool of all, or of all but some, serves at present. */
  readonly namesQueues: boolean
  /** When it was sent, monotonic milliseconds. */
  readonly sentMs: number
}

export interface FallenDue {
  /** Since so many milliseconds ago; undefined: ever. */
  readonly withinMs: number | undefined
  /** undefined: wherever they are. */
  readonly before: Position | undefined
}

/**
 * Where the next claim of a pool begins. The head of a queue may be full of jobs that the pool does not run, that are not due yet, or of
 * dead index entries: a claim walks past them once and the next begins where that one ended. What sorts before is looked for when the
 * pool is woken: by a look at the head again, or, when the last one was expensive, by a look at what fell due since (an urgent job, one
 * that was scheduled, a retry), in turn with the walk. A walk that reached the end has taken all there was; from then on there is only
 * what fell due since. What that misses (a job that somebody released) is found by the next look at the head, or at whatever is due
 * as long as that is little, which comes after ten times what the last took, five seconds at most.
 */
export class ClaimCursor {
  readonly #sort: CandidateOptions['sort']
  #position: Position | undefined
  /** Woken since the last claim was sent: its snapshot may be older than what the wake was for. */
  #wanted: 'nothing' | 'head' | 'due' = 'nothing'
  /** All that was due then and before the position has been taken; without a position all that was due. */
  #takenUntilMs = 0
  #isHeadCheap = true
  /** The last look elsewhere than at the position found jobs that sort before it. */
  #isFruitful = true
  /** Of a claim from the position, for each job. */
  #walkMs = 0
  #headAgainMs = 0
  #dueAgainMs = 0
  /** Every job was seen that was due at that time. */
  #isExhausted = false
  #isTurnOfPosition = false

  constructor(sort: CandidateOptions['sort']) {
    this.#sort = sort
  }

  /** Whether a claim that is sent now would look at the head, where the last such look was expensive. */
  wantsExpensiveHead(nowMs: number): boolean {
    const isNext = nowMs >= this.#headAgainMs || this.#position === undefined
    return isNext && !this.#isHeadCheap && !this.#isExhausted
  }

  /** A claim of up to `limit` jobs that is sent now. */
  begin(limit: number, sentMs: number, namesQueues = false): Look {
    const look = { limit, from: undefined, fallenDue: undefined, namesQueues, sentMs }
    // Nothing is sent.
    if (limit <= 0) return look
    const isNowhere = this.#position === undefined
    if (this.#wanted === 'head' || sentMs >= this.#headAgainMs || (isNowhere && !this.#isExhausted)) {
      this.#wanted = 'nothing'
      const isSeenByTime = this.#isExhausted && !this.#isHeadCheap
      return isSeenByTime ? { ...look, fallenDue: { withinMs: undefined, before: undefined } } : look
    }
    const isDueWanted = this.#wanted === 'due' && sentMs >= this.#dueAgainMs && !this.#isTurnOfPosition
    if (isNowhere || isDueWanted) {
      this.#wanted = 'nothing'
      return { ...look, fallenDue: { withinMs: sentMs - this.#takenUntilMs, before: this.#position } }
    }
    return { ...look, from: this.#position }
  }

  /** There may be jobs before the position. */
  reset(): void {
    this.#wanted = this.#isHeadCheap ? 'head' : 'due'
  }

  /** Nothing says that there are jobs before the position, but nobody has looked for the next start. */
  resetUnasked(nowMs: number): void {
    if (this.#isFruitful || nowMs - this.#takenUntilMs >= UNASKED_LOOK_MS) this.reset()
  }

  /**
   * Moves on. Answers how long from the answer it is until the pool has to claim again without being woken, milliseconds; undefined
   * when there is nothing more.
   */
  end(look: Look, rows: readonly ClaimedRow[], answeredMs: number): number | undefined {
    if (look.limit <= 0) return 0
    const isFull = rows.length >= look.limit
    if (look.fallenDue !== undefined)
      return this.#endDue(look, look.fallenDue, { found: rows.length, isFull, answeredMs })
    const { from, sentMs } = look
    const tookMs = answeredMs - sentMs
    if (from === undefined) this.#isFruitful = sortsBefore(this.#positionOf(rows[0]), this.#position)
    this.#position = this.#positionOf(rows.at(-1)) ?? from
    this.#isTurnOfPosition = false
    if (from !== undefined && isFull) this.#learn(tookMs / rows.length)
    if (from === undefined) {
      this.#takenUntilMs = sentMs
      // With names it says nothing of one without.
      if (!look.namesQueues) this.#isHeadCheap = this.#isCheap(tookMs, rows.length)
      this.#headAgainMs = againAfter(look, answeredMs)
      this.#isExhausted = !isFull
    }
    if (isFull) return 0
    if (from === undefined) {
      this.reset()
      return undefined
    }
    if (this.#isHeadCheap) this.reset()
    else {
      this.#position = undefined
      this.#isExhausted = true
    }
    return this.#restMs(answeredMs)
  }

  #endDue(
    look: Look,
    { withinMs }: FallenDue,
    { found, isFull, answeredMs }: { found: number; isFull: boolean; answeredMs: number },
  ): number | undefined {
    const againMs = againAfter(look, answeredMs)
    if (withinMs === undefined) {
      this.#headAgainMs = againMs
      this.#isExhausted = !isFull
      // So much is due that the order counts: the head is next.
      if (isFull) this.#position = undefined
    }
    if (!isFull) this.#takenUntilMs = look.sentMs
    this.#isFruitful = found > 0
    // One that found something was worth its time.
    const isWorthIt = found > 0 || answeredMs - look.sentMs < CHEAP_DUE_LOOK_MS
    this.#dueAgainMs = isWorthIt ? answeredMs : againMs
    this.#isTurnOfPosition = true
    if (isFull) this.reset()
    if (isFull || this.#position !== undefined) return 0
    if (withinMs === undefined) {
      this.reset()
      return undefined
    }
    return this.#restMs(answeredMs)
  }

  #learn(msPerJob: number): void {
    this.#walkMs = this.#walkMs === 0 ? msPerJob : (1 - SMOOTHING) * this.#walkMs + SMOOTHING * msPerJob
  }

  #isCheap(tookMs: number, found: number): boolean {
    return tookMs < Math.max(CHEAP_LOOK_MS + CHEAP_JOB_MS * found, CHEAP_FACTOR * this.#walkMs * found)
  }

  /** Until the next look that is wanted or has to be in any case. */
  #restMs(nowMs: number): number {
    if (this.#wanted === 'head') return 0
    const nextMs = this.#wanted === 'due' ? Math.min(this.#dueAgainMs, this.#headAgainMs) : this.#headAgainMs
    return Math.max(0, nextMs - nowMs)
  }

  /** Jobs without priority come last and no comparison finds them, so they are looked for from the head. */
  #positionOf(row: ClaimedRow | undefined): Position | undefined {
    const at = this.#sort === 'created_at' ? row?.created_at : row?.scheduled_at
    if (row?.priority == null || at == null) return undefined
    return { queueName: row.queue_name, priority: row.priority, at }
  }
}

/** By priority and time; in a pool of ordered queues that is a guess, and so is a job without priority. */
const sortsBefore = (job: Position | undefined, position: Position | undefined): boolean => {
  if (job === undefined) return false
  if (position === undefined) return true
  if (job.priority !== position.priority) return job.priority < position.priority
  return Date.parse(job.at) < Date.parse(position.at)
}

const againAfter = ({ sentMs }: Look, answeredMs: number): number =>
  answeredMs + Math.min(PAUSE_FACTOR * (answeredMs - sentMs), MAX_PAUSE_MS)
