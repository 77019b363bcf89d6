import { type LimitedJobs, notFull } from '../concurrency/limited.ts'
import type { Facts } from '../database.ts'
import { notPaused } from '../pauses.ts'
import type { Parameters } from '../text.ts'

/** Which queues a pool serves. */
export type QueueSelector =
  | { readonly kind: 'all' }
  | {
      readonly kind: 'include'
      readonly queues: readonly string[]
      readonly isOrdered: boolean
      /** True for the queues that had jobs just now, of a pool that serves other queues, too. */
      readonly isSnapshot?: boolean
    }
  | { readonly kind: 'exclude'; readonly queues: readonly string[] }

/** A place in the order in which the jobs of a pool start. */
export interface Position {
  readonly queueName: string | null
  readonly priority: number
  /** created_at or scheduled_at, whichever the pool sorts by. */
  readonly at: string
}

export interface CandidateOptions {
  readonly selector: QueueSelector
  readonly jobClasses: readonly string[]
  readonly sort: 'created_at' | 'scheduled_at'
  /** @default false */
  readonly honoursPauses?: boolean
  /** Candidates to read, at most; never fewer than `limit`. */
  readonly selectLimit: number
  /** Jobs to claim, at most. */
  readonly limit: number
  /** Jobs up to this time are due. */
  readonly dueUntil: string
  /** Where to begin; jobs that sort before it are not read. @default the head of the queue */
  readonly from?: Position | undefined
  /** Only jobs that became due recently. @default all due jobs */
  readonly newlyDue?: NewlyDue | undefined
  /** Jobs that concurrency rules limit. @default none */
  readonly limits?: LimitedJobs | undefined
}

/** Jobs that became due after `after`; with `before`, only those that sort before that position. */
export interface NewlyDue {
  /** undefined: no lower bound. */
  readonly after: string | undefined
  readonly before: Position | undefined
}

/** Candidates that a query for a few jobs sorts; sorting a thousand takes longer than claiming a few. */
const FEW_NEWLY_DUE = 200

/** Returns ` AND …` for the queues of a pool; empty for all queues. */
export const queuePredicate = (selector: QueueSelector, parameters: Parameters): string => {
  if (selector.kind === 'all') return ''
  const queues = parameters.add(selector.queues, 'text[]')
  if (selector.kind === 'exclude') return `AND (queue_name <> ALL (${queues}) OR queue_name IS NULL)`
  // One queue as a range lets the planner scan (queue_name, priority, created_at) in order instead of sorting.
  if (selector.queues.length === 1) return `AND queue_name >= (${queues})[1] AND queue_name <= (${queues})[1]`
  return `AND queue_name = ANY (${queues})`
}

/** The order of jobs within a queue, and across queues unless the pool prefers some. */
const jobOrder = (sort: CandidateOptions['sort'], table: string): string =>
  sort === 'created_at'
    ? `${table}.priority ASC NULLS LAST, ${table}.created_at ASC`
    : `${table}.priority ASC NULLS LAST, ${table}.scheduled_at ASC, ${table}.id ASC`

/** The order in which jobs start, of the columns of `table`. */
export const candidateOrder = (
  { selector, sort }: Pick<CandidateOptions, 'selector' | 'sort'>,
  parameters: Parameters,
  table: string,
): string => {
  const jobs = jobOrder(sort, table)
  if (selector.kind !== 'include' || !selector.isOrdered || selector.queues.length === 1) return jobs
  return `array_position(${parameters.add(selector.queues, 'text[]')}, ${table}.queue_name), ${jobs}`
}

/**
 * Returns a SELECT of the jobs that may be claimed, in GoodJob's order, with these columns of good_jobs. A statement that reads its
 * rows one by one locks only the rows that it has read. The row lock makes Postgres check finished_at, scheduled_at and
 * locked_by_id again on the newest version of the row, so no job that changed after the snapshot is returned.
 *
 * Every variant scans an index in the requested order: on a session with sorts disabled, a generic plan has no other choice.
 */
export const candidates = (
  facts: Facts,
  options: CandidateOptions,
  parameters: Parameters,
  columns: readonly string[],
): string => {
  const statement = new CandidateQuery(facts, options, parameters)
  const { selector, newlyDue } = options
  if (newlyDue !== undefined) return statement.newlyDue(columns, newlyDue)
  if (selector.kind !== 'include') return statement.locked(columns, queuePredicate(selector, parameters), options.from)
  // A queue that is named twice must not yield a job twice: its advisory lock would be taken twice.
  const [queue, ...others] = new Set(selector.queues)
  if (queue === undefined) return statement.locked(columns, 'AND false', undefined)
  if (others.length === 0) return statement.ofQueue(columns, queue, options.from)
  const queues = [queue, ...others]
  return selector.isOrdered ? statement.inTurn(columns, queues) : statement.merged(columns, queues)
}

/**
 * The limit is a literal in the text, so each value is a prepared statement of its own for the life of the session. To keep them
 * few, limits above the configured one are powers of two.
 */
const selectLimit = ({ selectLimit, limit }: CandidateOptions): number =>
  limit <= selectLimit ? selectLimit : 2 ** Math.ceil(Math.log2(limit))

/** The parts of the statement; a value that several parts use is numbered once. */
class CandidateQuery {
  readonly #facts: Facts
  readonly #options: CandidateOptions
  readonly #parameters: Parameters
  readonly #isWaiting: string
  readonly #selectLimit: number

  constructor(facts: Facts, options: CandidateOptions, parameters: Parameters) {
    this.#facts = facts
    this.#options = options
    this.#parameters = parameters
    this.#selectLimit = selectLimit(options)
    this.#isWaiting = `finished_at IS NULL AND locked_by_id IS NULL
    AND scheduled_at <= ${parameters.add(options.dueUntil, facts.timestampType)}
    AND job_class = ANY (${parameters.add(options.jobClasses, 'text[]')})${options.honoursPauses ? notPaused(options, parameters) : ''}${options.limits ? notFull(options.limits, parameters) : ''}`
  }

  /** One index scan that locks the rows it returns. */
  locked(columns: readonly string[], predicate: string, from: Position | undefined): string {
    return `${this.#unlocked(columns, `${predicate} ${this.#isFrom(from)}`)}
  ORDER BY ${jobOrder(this.#options.sort, 'good_jobs')}
  LIMIT ${this.#selectLimit}
  FOR NO KEY UPDATE SKIP LOCKED`
  }

  ofQueue(columns: readonly string[], queue: string, from: Position | undefined): string {
    return `${this.#inQueueOrder(columns, this.#parameters.add(queue, 'text'), from)}
  FOR NO KEY UPDATE SKIP LOCKED`
  }

  /** One queue after another: the next queue is not read while the previous ones have enough jobs. */
  inTurn(columns: readonly string[], queues: readonly string[]): string {
    const { from } = this.#options
    const first = from === undefined ? -1 : queues.indexOf(from.queueName ?? '')
    const walks = queues
      .slice(Math.max(first, 0))
      .map((queue, index) => this.ofQueue(columns, queue, first >= 0 && index === 0 ? from : undefined))
    return walks.map((walk, index) => `SELECT * FROM (${walk}) AS queue_${index}`).join('\n  UNION ALL\n  ')
  }

  /**
   * One index scan for each queue, merged as they are read. A merge cannot lock, so each row is then read by id, checked again and
   * locked.
   */
  merged(columns: readonly string[], queues: readonly string[]): string {
    const { sort, from } = this.#options
    const columnsOfWalk = ['id', 'queue_name', 'priority', sort]
    const walks = queues.map((queue, index) => {
      const name = this.#parameters.add(queue, 'text')
      // Naming the queue a second time shows the planner that the scan has the order of the merge: nothing is sorted.
      return `(SELECT * FROM (${this.#inQueueOrder(columnsOfWalk, name, from)}) AS queue_${index}
    WHERE queue_name = ${name} ORDER BY ${jobOrder(sort, `queue_${index}`)})`
    })
    return `
  SELECT job.*
  FROM (
    SELECT id, queue_name FROM (${walks.join('\n    UNION ALL\n    ')}) AS merged
    ORDER BY ${jobOrder(sort, 'merged')}
    LIMIT ${this.#selectLimit}
  ) AS ranked
  CROSS JOIN LATERAL (
    SELECT ${columns.join(', ')}
    FROM good_jobs
    WHERE good_jobs.id = ranked.id AND good_jobs.queue_name = ranked.queue_name AND ${this.#isWaiting}
    FOR NO KEY UPDATE SKIP LOCKED
  ) AS job`
  }

  /** Scans the index on scheduled_at and sorts afterwards: a scan in job order would have to skip all jobs that are not due yet. */
  newlyDue(columns: readonly string[], { after, before }: NewlyDue): string {
    const { sort, selector } = this.#options
    const isOurs = `${this.#isWaiting} ${queuePredicate(selector, this.#parameters)}`
    const since = this.#parameters.add(after ?? '-infinity', this.#facts.timestampType)
    // The limit is a literal in the text, so it must not change with each claim.
    const isFew = after !== undefined && this.#options.limit <= FEW_NEWLY_DUE / 2
    return `
  SELECT job.*
  FROM (
    SELECT id FROM (
      SELECT id, queue_name, priority, ${sort}
      FROM good_jobs
      WHERE ${isOurs} AND scheduled_at > ${since} ${this.#isBefore(before)}
      ORDER BY good_jobs.scheduled_at
      LIMIT ${isFew ? Math.min(FEW_NEWLY_DUE, this.#selectLimit) : this.#selectLimit}
    ) AS due
    ORDER BY ${candidateOrder(this.#options, this.#parameters, 'due')}
  ) AS ranked
  CROSS JOIN LATERAL (
    SELECT ${columns.join(', ')}
    FROM good_jobs
    WHERE good_jobs.id = ranked.id AND ${isOurs}
    FOR NO KEY UPDATE SKIP LOCKED
  ) AS job`
  }

  #isBefore(before: Position | undefined): string {
    if (before === undefined) return ''
    const { selector, sort } = this.#options
    const end = `${this.#parameters.add(before.priority, 'int')}, ${this.#parameters.add(before.at, this.#facts.timestampType)}`
    if (selector.kind !== 'include' || !selector.isOrdered) return `AND (priority, ${sort}) < (${end})`
    const queues = this.#parameters.add(selector.queues, 'text[]')
    const queue = this.#parameters.add(before.queueName, 'text')
    return `AND (array_position(${queues}, queue_name), priority, ${sort}) < (array_position(${queues}, ${queue}), ${end})`
  }

  #unlocked(columns: readonly string[], predicate: string): string {
    return `
  SELECT ${columns.join(', ')}
  FROM good_jobs
  WHERE ${this.#isWaiting} ${predicate}`
  }

  /** A range of one queue that is also part of the order leaves the planner only the indexes that begin with the queue. */
  #inQueueOrder(columns: readonly string[], name: string, from: Position | undefined): string {
    const start = from === undefined ? `AND queue_name >= ${name}` : this.#isFrom(from, name)
    return `${this.#unlocked(columns, `AND queue_name <= ${name} ${start}`)}
  ORDER BY good_jobs.queue_name, ${jobOrder(this.#options.sort, 'good_jobs')}
  LIMIT ${this.#selectLimit}`
  }

  /** As a comparison of rows, it lets an index scan begin at the position; `queue` is a value that is compared with queue_name first. */
  #isFrom(from: Position | undefined, queue?: string): string {
    if (from === undefined) return ''
    const { sort } = this.#options
    const start = `${this.#parameters.add(from.priority, 'int')}, ${this.#parameters.add(from.at, this.#facts.timestampType)}`
    if (queue === undefined) return `AND (priority, ${sort}) >= (${start})`
    return `AND (queue_name, priority, ${sort}) >= (${queue}, ${start})`
  }
}
