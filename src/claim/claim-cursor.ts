import type { CandidateOptions, Position } from '../sql/claim-candidates.ts'
import type { ClaimedRow } from '../sql/jobs-claim.ts'

/** A look at the head that takes longer is not repeated for every wake, milliseconds. */
const CHEAP_LOOK_MS = 50
/** Share of the time that looks before the position may take: the next comes after this many times what the last took. */
const PAUSE_FACTOR = 10
const MAX_PAUSE_MS = 5_000

/** A claim under way. */
export interface Look {
  /** Jobs that are asked for. */
  readonly limit: number
  /** Where it begins; undefined: at the head. */
  readonly from: Position | undefined
  /** It only looks before the position, for jobs that fell due since the last look at the head. */
  readonly fallenDue: FallenDue | undefined
  /** When it was sent, monotonic milliseconds. */
  readonly sentMs: number
}

export interface FallenDue {
  /** Milliseconds since that look was sent. */
  readonly withinMs: number
  /** undefined: wherever they are, for nothing was found yet. */
  readonly before: Position | undefined
}

/**
 * Where the next claim of a pool begins. The head of a queue may be full of jobs that the pool does not run, that are not due yet, or of
 * dead index entries: a claim walks past them once and the next begins where that one ended. What sorts before is looked for when the
 * pool is woken or runs out of jobs: by a look at the head again, or, when the last one was expensive, by a look at what fell due
 * since (an urgent job, one that was scheduled, a retry). What that misses (a job that somebody released) the next look at the head
 * finds, which comes after ten times what the last took, five seconds at most.
 */
export class ClaimCursor {
  readonly #sort: CandidateOptions['sort']
  #position: Position | undefined
  /** Woken since the last claim was sent: its snapshot may be older than what the wake was for. */
  #wanted: 'nothing' | 'head' | 'due' = 'nothing'
  #headSentMs = 0
  #headTookMs = 0
  #headAgainMs = 0
  #dueAgainMs = 0
  /** The last look at the head found all that there was. */
  #isHeadExhausted = false

  constructor(sort: CandidateOptions['sort']) {
    this.#sort = sort
  }

  /** A claim of up to `limit` jobs that is sent now. */
  begin(limit: number, sentMs: number): Look {
    const look = { limit, from: undefined, fallenDue: undefined, sentMs }
    // Nothing is sent.
    if (limit <= 0) return look
    const isNowhere = this.#position === undefined
    if (this.#wanted === 'head' || sentMs >= this.#headAgainMs || (isNowhere && !this.#isHeadExhausted)) {
      this.#wanted = 'nothing'
      return look
    }
    if (isNowhere || (this.#wanted === 'due' && sentMs >= this.#dueAgainMs)) {
      this.#wanted = 'nothing'
      return { ...look, fallenDue: { withinMs: sentMs - this.#headSentMs, before: this.#position } }
    }
    return { ...look, from: this.#position }
  }

  /** There may be jobs before the position. */
  reset(): void {
    this.#wanted = this.#headTookMs < CHEAP_LOOK_MS ? 'head' : 'due'
  }

  /**
   * Moves on. Answers how long from the answer it is until the pool has to claim again without being woken, milliseconds; undefined
   * when the head was looked at and there is nothing more.
   */
  end(look: Look, rows: readonly ClaimedRow[], answeredMs: number): number | undefined {
    const { limit, from, fallenDue, sentMs } = look
    if (limit <= 0) return 0
    const isFull = rows.length >= limit
    const againMs = answeredMs + Math.min(PAUSE_FACTOR * (answeredMs - sentMs), MAX_PAUSE_MS)
    if (fallenDue !== undefined) {
      // One that found something was worth its time.
      this.#dueAgainMs = rows.length > 0 ? answeredMs : againMs
      if (isFull) this.reset()
      return isFull || this.#position !== undefined ? 0 : this.#restMs(answeredMs)
    }
    this.#position = this.#positionOf(rows.at(-1)) ?? from
    if (from === undefined) {
      this.#headSentMs = sentMs
      this.#headTookMs = answeredMs - sentMs
      this.#headAgainMs = againMs
      this.#isHeadExhausted = !isFull
    }
    if (isFull) return 0
    if (from === undefined) {
      this.reset()
      return undefined
    }
    if (this.#headTookMs < CHEAP_LOOK_MS) this.reset()
    return this.#restMs(answeredMs)
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
