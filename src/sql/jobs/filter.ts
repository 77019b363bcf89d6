import { type JobState, jobStateFilterSql } from './states.ts'

/** Which jobs: all conditions hold; several states mean any of them. */
export interface JobFilter {
  readonly states?: readonly JobState[]
  readonly queueName?: string
  readonly jobClass?: string
  readonly label?: string
  /** Members of the batch; its callback jobs are not members. */
  readonly batchId?: string
}

/** Where the next page starts: the last row of the previous page. */
export interface JobCursor {
  /** Its finished_at where the filter asks for finished jobs only, else its created_at. */
  readonly at: string
  readonly id: string
}

/** Each condition appends its values: Postgres cannot infer the type of a parameter that no condition uses. */
export const conditions = (filter: JobFilter, now: string, values: unknown[]): string[] => {
  const states = filter.states?.map((state) => `(${stateCondition(state, now, values)})`) ?? []
  return [...(states.length > 0 ? [`(${states.join(' OR ')})`] : []), ...columnConditions(filter, values)]
}

const columnConditions = ({ batchId, label, jobClass, queueName }: JobFilter, values: unknown[]): string[] => {
  const is = (column: string, value: unknown) => `${column} = $${values.push(value)}`
  return [
    ...(batchId === undefined ? [] : [is('batch_id', batchId)]),
    ...(label === undefined ? [] : [`labels @> ARRAY[$${values.push(label)}::text]`]),
    ...(jobClass === undefined ? [] : [is('job_class', jobClass)]),
    ...(queueName === undefined ? [] : [is('queue_name', queueName)]),
  ]
}

const stateCondition = (state: JobState, now: string, values: unknown[]): string => {
  const text = jobStateFilterSql(state, '$now')
  return text.includes('$now') ? text.replaceAll('$now', `$${values.push(now)}`) : text
}

/** The rows that one index finds for a filter, and others; undefined if no condition has an index that finds few rows. */
export const indexedRows = (
  { states = [], ...columns }: JobFilter,
  now: string,
  values: unknown[],
): string | undefined => {
  const { batchId, label, jobClass, queueName } = columns
  const isAll = (...among: JobState[]) => states.length > 0 && states.every((each) => among.includes(each))
  if (batchId !== undefined) return where(columnConditions({ batchId }, values))
  if (label !== undefined) return where(columnConditions({ label }, values))
  if (isAll('running')) return RUNNING
  if (isAll('scheduled', 'retried')) return where(['finished_at IS NULL', `scheduled_at > $${values.push(now)}`])
  if (jobClass !== undefined) return where(columnConditions({ jobClass }, values))
  if (isAll('discarded')) return where(['finished_at IS NOT NULL AND error IS NOT NULL'])
  if (queueName !== undefined) return where(columnConditions({ queueName }, values))
  const isUnfinished = states.length > 0 && !states.includes('succeeded') && !states.includes('discarded')
  return isUnfinished ? where(['finished_at IS NULL']) : undefined
}

const where = (parts: readonly string[]): string => `SELECT id FROM good_jobs WHERE ${parts.join(' AND ')}`

/** The jobs that a process has locked, and interrupted jobs, which are found among the unfinished ones. */
const RUNNING = `SELECT id FROM good_jobs WHERE locked_by_id IS NOT NULL AND performed_at IS NOT NULL AND finished_at IS NULL
  UNION ALL
  SELECT id FROM (
    SELECT id, performed_at FROM good_jobs WHERE finished_at IS NULL AND locked_by_id IS NULL OFFSET 0
  ) AS unlocked
  WHERE performed_at IS NOT NULL`

/**
 * Rows of an index that are sorted for a page, at most. Matches of an index with more rows are common, and soon found among the
 * youngest jobs.
 */
const MAX_SORTED = 10_000

/** The rows that `indexedRows` finds as `found`, and as `few` whether those are few enough to be sorted. */
export const fewRows = (indexed: string): string => `found AS MATERIALIZED (
  SELECT id FROM (${indexed}) AS found LIMIT ${MAX_SORTED + 1}
),
few AS (
  SELECT count(*) <= ${MAX_SORTED} AS is_few FROM found
)`

/** Jobs that one statement reads while a search goes through the table. */
export const STEP = 5_000

/** The next jobs after a position in the order of a list as `step`, and the position of the last of them as `last`. */
export const nextJobs = (
  filter: JobFilter,
  after: JobCursor | undefined,
  columns: string,
  values: unknown[],
): string => {
  const order = orderOf(filter)
  const isDiscarded = filter.states?.every((state) => state === 'discarded') === true
  const start = [
    ...(order === 'finished_at' ? ['finished_at IS NOT NULL'] : []),
    // Uses the index of discarded jobs.
    ...(order === 'finished_at' && isDiscarded ? ['error IS NOT NULL'] : []),
    ...(after ? [isAfter(order, after, values)] : []),
  ]
  return `step AS MATERIALIZED (
  SELECT ${columns}
  FROM good_jobs
  ${whereSql(start)}
  ORDER BY ${order} DESC, id DESC
  LIMIT ${STEP}
),
last AS (
  SELECT ${order} AS last_at, id AS last_id FROM step ORDER BY ${order} ASC, id ASC LIMIT 1
)`
}

/** A filter for finished jobs alone lists them by their end, the last first; any other filter by creation, the youngest first. */
export const orderOf = ({ states = [] }: JobFilter): 'created_at' | 'finished_at' =>
  states.length > 0 && states.every((state) => state === 'succeeded' || state === 'discarded')
    ? 'finished_at'
    : 'created_at'

export const isAfter = (column: string, { at, id }: JobCursor, values: unknown[]): string =>
  `(${column}, id) < ($${values.push(at)}, $${values.push(id)}::uuid)`

export const whereSql = (parts: readonly string[]): string => (parts.length > 0 ? `WHERE ${parts.join(' AND ')}` : '')
