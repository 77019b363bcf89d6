import type { CandidateOptions, Position, QueueSelector } from '../../sql/claim/candidates.ts'
import type { LimitedRow } from '../../sql/concurrency/limited.ts'

/** The columns by which jobs are sorted. */
export type SortedRow = Pick<LimitedRow, 'id' | 'queue_name' | 'priority' | 'created_at' | 'scheduled_at'>

type Rank = readonly (number | string)[]

/** The order in which the jobs of a pool start; the order of sql/claim/candidates.ts. */
export class StartOrder {
  readonly #queues: readonly string[]
  readonly #sort: CandidateOptions['sort']

  constructor(selector: QueueSelector, sort: CandidateOptions['sort']) {
    this.#queues = selector.kind === 'include' && selector.isOrdered ? selector.queues : []
    this.#sort = sort
  }

  /** Negative if `a` starts before `b`. */
  compare(a: SortedRow, b: SortedRow): number {
    return compareRanks(this.#rank(a), this.#rank(b))
  }

  /** Whether the job sorts before the position, or at it. */
  isWithin(row: SortedRow, { queueName, priority, at }: Position): boolean {
    return this.compare(row, { id: '\uffff', queue_name: queueName, priority, created_at: at, scheduled_at: at }) <= 0
  }

  #rank({ id, queue_name, priority, created_at, scheduled_at }: SortedRow): Rank {
    const isByCreation = this.#sort === 'created_at'
    return [
      this.#queues.length === 0 ? 0 : this.#queues.indexOf(queue_name ?? ''),
      priority ?? Number.POSITIVE_INFINITY,
      // Without the final Z, texts with fewer digits of a second sort before those with more.
      ((isByCreation ? created_at : scheduled_at) ?? '').replace('Z', ''),
      isByCreation ? '' : id,
    ]
  }
}

const compareRanks = (a: Rank, b: Rank): number => {
  for (const [index, part] of a.entries()) {
    const other = b[index] ?? ''
    if (part < other) return -1
    if (part > other) return 1
  }
  return 0
}
