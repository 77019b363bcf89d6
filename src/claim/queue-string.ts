import { QueueStringError } from '../errors.ts'
import type { QueueSelector } from '../sql/claim/candidates.ts'

/** One pool of a worker: the queues it serves and how many jobs it runs at a time. */
export interface QueuePool {
  /** The selector as written; the name of the pool in the process state. */
  readonly name: string
  readonly selector: QueueSelector
  readonly maxThreads: number
}

/** Ruby's String#split drops empty parts at the end only. */
const rubySplit = (text: string, separator: string): string[] => {
  const parts = text.split(separator)
  while (parts.length > 0 && parts.at(-1) === '') parts.pop()
  return parts
}

/**
 * The selector of one pool. GoodJob configuration.rb / job.rb#queue_parser: a sign holds for the whole list, `*` anywhere
 * matches every queue, a lone `+` or `,` matches none.
 */
export const parseSelector = (text: string): QueueSelector => {
  const trimmed = text.trim() === '' ? '*' : text.trim()
  const sign = trimmed.startsWith('-') || trimmed.startsWith('+') ? trimmed.charAt(0) : ''
  const names = rubySplit(trimmed.slice(sign.length), ',').map((name) => name.trim())
  if (names.includes('*')) return { kind: 'all' }
  if (sign === '-') return names.length === 0 ? { kind: 'all' } : { kind: 'exclude', queues: names }
  return { kind: 'include', queues: names, isOrdered: sign === '+' }
}

const parseThreads = (text: string | undefined, pool: string, defaultThreads: number): number => {
  if (text === undefined || text.trim() === '') return defaultThreads
  const threads = Number(text)
  // GoodJob reads "x" as a pool without threads, which never works; a typo should not stop work silently.
  if (Number.isInteger(threads) && threads > 0) return threads
  throw new QueueStringError(
    `queues: expected a whole number of at least 1 after ":", got ${JSON.stringify(text.trim())} in ${JSON.stringify(pool)}`,
  )
}

const parsePool = (pool: string, defaultThreads: number): QueuePool => {
  const [selector = '', threads] = rubySplit(pool, ':')
  if (selector.trim() === '' && pool !== '*') {
    throw new QueueStringError(
      `queues: expected a queue name or "*" in each pool, got ${JSON.stringify(pool)}; leave the empty part out`,
    )
  }
  const name = selector.trim()
  return { name, selector: parseSelector(name), maxThreads: parseThreads(threads, pool, defaultThreads) }
}

/** The groups of a queue string, `a;b|c`. Empty ones do not count. GoodJob 4.23.1 configuration.rb#queue_pools. */
export const queueGroups = (text: string): string[] =>
  text
    .split('|')
    .map((group) => group.trim())
    .filter((group) => group !== '')

/**
 * Reads GoodJob's queue string, e.g. `+urgent,low:2;-mice:4;*`. Groups (`|`), which the command line gives to one subprocess each, become
 * pools of this process, as in Ruby's async mode.
 * @throws QueueStringError for an empty pool or a thread count that is not a whole number from 1.
 */
export const parseQueueString = (text: string, defaultThreads: number): QueuePool[] => {
  const joined = text.includes('|') ? queueGroups(text).join(';') : text
  const pools = rubySplit(joined.trim() === '' && !text.includes('|') ? '*' : joined, ';').map((pool) => pool.trim())
  if (pools.length === 0)
    throw new QueueStringError(`queues: no pool in ${JSON.stringify(text)}; "*" serves every queue`)
  return pools.map((pool) => parsePool(pool, defaultThreads))
}

/** Whether a pool serves a queue; `undefined` (a notification without queue) concerns every pool. */
export const matchesQueue = (selector: QueueSelector, queueName: string | undefined): boolean => {
  if (queueName === undefined || selector.kind === 'all') return true
  return selector.queues.includes(queueName) === (selector.kind === 'include')
}
