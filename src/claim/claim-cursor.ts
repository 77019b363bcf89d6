import type { CandidateOptions, Position } from '../sql/claim/candidates.ts'
import type { ClaimedRow } from '../sql/claim/claim.ts'
import { type Answer, type CursorState, NEXT_QUERY, NEXT_STATE, type Need, type QueryKind } from './cursor-states.ts'
import { afterHeadQuery, afterPositionQuery, INITIAL_COST, newlyDuePauseMs, pauseMs } from './head-cost.ts'

/** A pool that is never idle asks for jobs before its position this often while it finds none there, milliseconds. */
const BUSY_POOL_MS = 100

/** A claim that was sent. */
export interface ClaimQuery {
  /** none: no slot is free, nothing is sent. */
  readonly kind: QueryKind | 'none'
  /** The number of jobs requested. */
  readonly limit: number
  readonly from: Position | undefined
  readonly newlyDue: NewlyDue | undefined
  /** The query names the queues that a pool of all queues, or of all but some, serves at present. */
  readonly namesQueues: boolean
  /** When it was sent, monotonic milliseconds. */
  readonly sentMs: number
}

interface NewlyDue {
  /** The jobs that became due within this time, milliseconds; undefined: all that are due. */
  readonly withinMs: number | undefined
  /** undefined: wherever the jobs are. */
  readonly before: Position | undefined
}

/** The columns of a job that show its place in the queue. */
type FoundRow = Pick<ClaimedRow, 'queue_name' | 'priority' | 'created_at' | 'scheduled_at'>

/** What came back for a query. */
interface Reply {
  readonly rows: readonly FoundRow[]
  readonly isFull: boolean
  readonly tookMs: number
  readonly answeredMs: number
}

/**
 * Decides where the next claim of a pool begins, so that jobs which the pool cannot run are skipped once and not by every claim.
 *
 * A wake-up asks for jobs before the position: by a query at the head, or, while that is expensive, by one for newly due jobs, in turn
 * with claims from the position. A query at the head, or for all due jobs, is repeated in any case after ten times its duration, five
 * seconds at most: it finds jobs that another session released.
 */
export class ClaimCursor {
  readonly #sort: CandidateOptions['sort']
  #state: CursorState = { at: 'head', position: undefined }
  #cost = INITIAL_COST
  /** What was requested since the last claim was sent; the snapshot of that claim may be older than the reason. */
  #wanted: 'anyJob' | 'newlyDue' | 'nothing' = 'nothing'
  #anyJobAtMs = 0
  #newlyDueNotBeforeMs = 0
  /** Jobs that were due then, and before the position if there is one, are claimed. */
  #claimedUntilMs = 0
  /** The last query for jobs before the position returned some. */
  #hasJobsBefore = true
  #isTurnOfPosition = false

  constructor(sort: CandidateOptions['sort']) {
    this.#sort = sort
  }

  /** Jobs after this position were not claimed yet; undefined: no position is known, or no job is left. */
  get position(): Position | undefined {
    return this.#state.at === 'position' ? this.#state.position : undefined
  }

  /** Whether a claim that is sent now begins at the head. */
  isAtHead(nowMs: number): boolean {
    return NEXT_QUERY[this.#state.at][this.#needAt(nowMs)] === 'head'
  }

  /** Jobs that became due since then may have been left out of claims. */
  reopen(sinceMs: number): void {
    this.#claimedUntilMs = Math.min(this.#claimedUntilMs, sinceMs)
    this.wake()
  }

  /** Whether a claim that is sent now would begin at the head, and the last such query was expensive. */
  wantsExpensiveHead(nowMs: number): boolean {
    const { at } = this.#state
    return !this.#cost.isCheap && (at === 'head' || (at === 'position' && nowMs >= this.#anyJobAtMs))
  }

  /** The query of a claim of up to `limit` jobs that is sent now. */
  begin(limit: number, sentMs: number, namesQueues = false): ClaimQuery {
    const kind = limit <= 0 ? 'none' : NEXT_QUERY[this.#state.at][this.#needAt(sentMs)]
    const isFromPosition = kind === 'position'
    if (kind !== 'none' && !isFromPosition) this.#wanted = 'nothing'
    const from = isFromPosition ? this.#state.position : undefined
    return { kind, limit, from, newlyDue: this.#newlyDueOf(kind, sentMs), namesQueues, sentMs }
  }

  #newlyDueOf(kind: ClaimQuery['kind'], sentMs: number): NewlyDue | undefined {
    if (kind === 'allDue') return { withinMs: undefined, before: undefined }
    if (kind !== 'newlyDue') return undefined
    return { withinMs: sentMs - this.#claimedUntilMs, before: this.#state.position }
  }

  /** The pool was woken: jobs before the position may be available. */
  wake(): void {
    this.#wanted = this.#cost.isCheap ? 'anyJob' : 'newlyDue'
  }

  /** For a pool that is never idle, so that its own timer causes no wake-up: jobs before the position may be available. */
  passTime(nowMs: number): void {
    if (this.#hasJobsBefore || nowMs - this.#claimedUntilMs >= BUSY_POOL_MS) this.wake()
  }

  /**
   * Moves on by the rows that a query returned.
   * @returns milliseconds until the pool has to claim again without being woken; undefined when every due job is claimed
   */
  end(query: ClaimQuery, rows: readonly FoundRow[], answeredMs: number): number | undefined {
    const reply = { rows, isFull: rows.length >= query.limit, tookMs: answeredMs - query.sentMs, answeredMs }
    switch (query.kind) {
      case 'none':
        return 0
      case 'head':
        return this.#endHead(query, reply)
      case 'position':
        return this.#endPosition(query, reply)
      case 'newlyDue':
        return this.#endNewlyDue(query, reply)
      case 'allDue':
        return this.#endAllDue(query, reply)
    }
  }

  #endHead({ sentMs, namesQueues }: ClaimQuery, { rows, isFull, tookMs, answeredMs }: Reply): number | undefined {
    this.#hasJobsBefore = sortsBefore(this.#positionOf(rows[0]), this.#state.position)
    this.#enter(isFull ? 'head, full' : 'head, short', this.#positionOf(rows.at(-1)))
    this.#isTurnOfPosition = false
    this.#claimedUntilMs = sentMs
    // A query that names its queues says nothing about the cost of one that does not.
    if (!namesQueues) this.#cost = afterHeadQuery(this.#cost, tookMs, rows.length)
    this.#anyJobAtMs = answeredMs + pauseMs(tookMs)
    if (isFull) return 0
    this.wake()
    return undefined
  }

  #endPosition({ from }: ClaimQuery, { rows, isFull, tookMs, answeredMs }: Reply): number {
    const isDrained = !isFull && !this.#cost.isCheap
    this.#enter(isDrained ? 'position, short, expensive head' : 'position', this.#positionOf(rows.at(-1)) ?? from)
    this.#isTurnOfPosition = false
    if (isFull) {
      this.#cost = afterPositionQuery(this.#cost, tookMs, rows.length)
      return 0
    }
    if (!isDrained) this.wake()
    return this.#restMs(answeredMs)
  }

  #endNewlyDue(query: ClaimQuery, reply: Reply): number {
    this.#noteDue(query, reply)
    return reply.isFull || this.#state.position !== undefined ? 0 : this.#restMs(reply.answeredMs)
  }

  #endAllDue(query: ClaimQuery, reply: Reply): number | undefined {
    const { isFull, tookMs, answeredMs } = reply
    this.#anyJobAtMs = answeredMs + pauseMs(tookMs)
    this.#enter(isFull ? 'allDue, full' : 'allDue, short', this.#state.position)
    this.#noteDue(query, reply)
    if (isFull || this.#state.position !== undefined) return 0
    this.wake()
    return undefined
  }

  /** Records the result of a query by the time at which jobs became due. */
  #noteDue({ sentMs }: ClaimQuery, { rows, isFull, tookMs, answeredMs }: Reply): void {
    this.#hasJobsBefore = rows.length > 0
    this.#newlyDueNotBeforeMs = answeredMs + newlyDuePauseMs(tookMs, rows.length)
    this.#isTurnOfPosition = true
    if (isFull) this.wake()
    else this.#claimedUntilMs = sentMs
  }

  /** The one place where the state changes. Without a position `position` is `head`, and `end` is `drained`. */
  #enter(answer: Answer, position: Position | undefined): void {
    const at = NEXT_STATE[answer][this.#state.at]
    if (at === 'head' || at === 'drained') this.#state = { at, position: undefined }
    else if (position === undefined) this.#state = { at: at === 'position' ? 'head' : 'drained', position }
    else this.#state = { at, position }
  }

  #needAt(nowMs: number): Need {
    if (this.#wanted === 'anyJob' || nowMs >= this.#anyJobAtMs) {
      return this.#cost.isCheap ? 'cheapHead' : 'expensiveHead'
    }
    const isNewlyDueAllowed = nowMs >= this.#newlyDueNotBeforeMs && !this.#isTurnOfPosition
    return this.#wanted === 'newlyDue' && isNewlyDueAllowed ? 'newlyDue' : 'nothing'
  }

  /** Milliseconds until the next query that is wanted, or that is sent in any case. */
  #restMs(nowMs: number): number {
    if (this.#wanted === 'anyJob') return 0
    const nextMs =
      this.#wanted === 'newlyDue' ? Math.min(this.#newlyDueNotBeforeMs, this.#anyJobAtMs) : this.#anyJobAtMs
    return Math.max(0, nextMs - nowMs)
  }

  /** A job without a priority has no position. */
  #positionOf(row: FoundRow | undefined): Position | undefined {
    const at = this.#sort === 'created_at' ? row?.created_at : row?.scheduled_at
    if (row?.priority == null || at == null) return undefined
    return { queueName: row.queue_name, priority: row.priority, at }
  }
}

/** By priority and time; for a pool of ordered queues, and for a job without a priority, this is a guess. */
const sortsBefore = (job: Position | undefined, position: Position | undefined): boolean => {
  if (job === undefined) return false
  if (position === undefined) return true
  if (job.priority !== position.priority) return job.priority < position.priority
  return Date.parse(job.at) < Date.parse(position.at)
}
