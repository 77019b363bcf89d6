import type { CandidateOptions, Position } from '../sql/claim-candidates.ts'
import type { ClaimedRow } from '../sql/jobs-claim.ts'

/** A look at the head that takes longer is not repeated for every wake, milliseconds. */
const CHEAP_LOOK_MS = 50
/** Share of the time that looks at the head may take: the next comes after this many times what the last took. */
const PAUSE_FACTOR = 10
const MAX_PAUSE_MS = 5_000

/** A claim under way. */
export interface Look {
  /** Jobs that are asked for. */
  readonly limit: number
  /** Where it begins; undefined: at the head. */
  readonly from: Position | undefined
  /** When it was sent, monotonic milliseconds. */
  readonly sentMs: number
}

/**
 * Where the next claim of a pool begins. The head of a queue may be full of jobs that the pool does not run, or of dead index entries:
 * a claim walks past them once and the next begins where that one ended. What sorts before (an urgent job, a retry, a job that
 * somebody released) is found by looking at the head again: at once when the pool is woken or runs out of jobs, unless the last
 * look was expensive, and in any case after ten times what it took, five seconds at most.
 */
export class ClaimCursor {
  readonly #sort: CandidateOptions['sort']
  #position: Position | undefined
  /** Woken since the last claim was sent: its snapshot may be older than what the wake was for. */
  #isHeadWanted = false
  #lookMs = 0
  #lookAgainMs = 0

  constructor(sort: CandidateOptions['sort']) {
    this.#sort = sort
  }

  /** A claim of up to `limit` jobs that is sent now. */
  begin(limit: number, sentMs: number): Look {
    // Nothing is sent.
    if (limit <= 0) return { limit, from: undefined, sentMs }
    const isFromHead = this.#isHeadWanted || sentMs >= this.#lookAgainMs
    this.#isHeadWanted = false
    return { limit, from: isFromHead ? undefined : this.#position, sentMs }
  }

  /** There may be jobs before the position. */
  reset(): void {
    if (this.#lookMs < CHEAP_LOOK_MS) this.#isHeadWanted = true
  }

  /**
   * Moves on. Answers how long from the answer it is until the pool has to claim again without being woken, milliseconds; undefined
   * when the head was looked at and there is nothing more.
   */
  end({ limit, from, sentMs }: Look, rows: readonly ClaimedRow[], answeredMs: number): number | undefined {
    if (limit <= 0) return 0
    this.#position = this.#positionOf(rows.at(-1)) ?? from
    if (from === undefined) {
      this.#lookMs = answeredMs - sentMs
      this.#lookAgainMs = answeredMs + Math.min(PAUSE_FACTOR * this.#lookMs, MAX_PAUSE_MS)
    }
    if (rows.length >= limit) return 0
    this.reset()
    if (from === undefined) return undefined
    return this.#isHeadWanted ? 0 : Math.max(0, this.#lookAgainMs - answeredMs)
  }

  /** Jobs without priority come last and no comparison finds them, so they are looked for from the head. */
  #positionOf(row: ClaimedRow | undefined): Position | undefined {
    const at = this.#sort === 'created_at' ? row?.created_at : row?.scheduled_at
    if (row?.priority == null || at == null) return undefined
    return { queueName: row.queue_name, priority: row.priority, at }
  }
}
