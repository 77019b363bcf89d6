import type { Facts } from './database.ts'
import type { Parameters } from './parameters.ts'
import { notPaused } from './settings.ts'

/** Which queues a pool serves. */
export type QueueSelector =
  | { readonly kind: 'all' }
  | { readonly kind: 'include'; readonly queues: readonly string[]; readonly isOrdered: boolean }
  | { readonly kind: 'exclude'; readonly queues: readonly string[] }

export interface CandidateOptions {
  readonly selector: QueueSelector
  readonly jobClasses: readonly string[]
  readonly sort: 'created_at' | 'scheduled_at'
  /** @default false */
  readonly honoursPauses?: boolean
  /** Candidates to look at, at most. */
  readonly selectLimit: number
  /** Jobs up to this time are due. */
  readonly dueUntil: string
}

/** ` AND …` for the queues of a pool; empty for all queues. */
export const queuePredicate = (selector: QueueSelector, parameters: Parameters): string => {
  if (selector.kind === 'all') return ''
  const queues = parameters.add(selector.queues, 'text[]')
  if (selector.kind === 'exclude') return `AND (queue_name <> ALL (${queues}) OR queue_name IS NULL)`
  // One queue as a range lets the planner walk (queue_name, priority, created_at) in order instead of sorting.
  if (selector.queues.length === 1) return `AND queue_name >= (${queues})[1] AND queue_name <= (${queues})[1]`
  return `AND queue_name = ANY (${queues})`
}

/** The order in which jobs start, of the columns of `table`. */
export const candidateOrder = (
  { selector, sort }: Pick<CandidateOptions, 'selector' | 'sort'>,
  parameters: Parameters,
  table = 'good_jobs',
): string => {
  const jobs =
    sort === 'created_at'
      ? `${table}.priority ASC NULLS LAST, ${table}.created_at ASC`
      : `${table}.priority ASC NULLS LAST, ${table}.scheduled_at ASC, ${table}.id ASC`
  if (selector.kind !== 'include') return jobs
  if (selector.queues.length === 1) return `${table}.queue_name, ${jobs}`
  if (!selector.isOrdered) return jobs
  return `array_position(${parameters.add(selector.queues, 'text[]')}, ${table}.queue_name), ${jobs}`
}

/**
 * A SELECT of the jobs that may be claimed, in GoodJob's order, with these columns of good_jobs. Whoever reads its rows one by one
 * locks only those that were read: the row lock makes Postgres re-check finished_at, scheduled_at and locked_by_id on the newest
 * version of the row, so nothing that changed after the snapshot is among them.
 */
export const candidates = (
  facts: Facts,
  options: CandidateOptions,
  parameters: Parameters,
  columns: readonly string[],
): string => `
  SELECT ${columns.join(', ')}
  FROM good_jobs
  WHERE finished_at IS NULL
    AND locked_by_id IS NULL
    AND scheduled_at <= ${parameters.add(options.dueUntil, facts.timestampType)}
    AND job_class = ANY (${parameters.add(options.jobClasses, 'text[]')})
    ${queuePredicate(options.selector, parameters)}${options.honoursPauses ? notPaused(options, parameters) : ''}
  ORDER BY ${candidateOrder(options, parameters)}
  LIMIT ${options.selectLimit}
  FOR NO KEY UPDATE SKIP LOCKED`
