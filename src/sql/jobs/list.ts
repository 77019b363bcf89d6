import { type Queryable, rowsOf } from '../connection/queryable.ts'
import { type JobState, jobStateFilterSql, jobStateSql } from './states.ts'

/** Which jobs: all conditions hold; several states mean any of them. */
export interface JobFilter {
  readonly states?: readonly JobState[]
  readonly queueName?: string
  readonly jobClass?: string
  readonly label?: string
  /** Members of the batch; its callback jobs are not. */
  readonly batchId?: string
}

/** Where the next page starts: the last row of the page before. */
export interface JobCursor {
  /** Its finished_at where the filter asks for finished jobs only, else its created_at. */
  readonly at: string
  readonly id: string
}

export interface JobPage {
  readonly filter: JobFilter
  readonly now: string
  readonly limit: number
  readonly after?: JobCursor | undefined
}

/** A job as a list shows it; times are ISO text. */
export interface ListedJob {
  readonly id: string
  readonly created_at: string
  readonly job_class: string | null
  readonly queue_name: string | null
  readonly priority: number | null
  readonly state: JobState
  readonly executions_count: number | null
  readonly labels: readonly string[] | null
  readonly batch_id: string | null
  readonly batch_callback_id: string | null
  readonly cron_key: string | null
  readonly concurrency_key: string | null
  readonly scheduled_at: string | null
  readonly performed_at: string | null
  readonly finished_at: string | null
  readonly locked_by_id: string | null
  readonly error: string | null
}

const COLUMNS = `id, created_at, job_class, queue_name, priority, executions_count, labels, batch_id, batch_callback_id, cron_key,
  concurrency_key, scheduled_at, performed_at, finished_at, locked_by_id, error`

/** Each condition appends its values; a parameter that no condition names would have no type. */
const conditions = (filter: JobFilter, now: string, values: unknown[]): string[] => {
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

/** The rows that one index finds for a filter, and others; undefined when none of its conditions has an index of few rows. */
const indexedRows = ({ states = [], ...columns }: JobFilter, values: unknown[]): string | undefined => {
  const { batchId, label, jobClass, queueName } = columns
  const isAll = (state: JobState) => states.length > 0 && states.every((each) => each === state)
  if (batchId !== undefined) return where(columnConditions({ batchId }, values))
  if (label !== undefined) return where(columnConditions({ label }, values))
  if (isAll('running')) return RUNNING
  if (jobClass !== undefined) return where(columnConditions({ jobClass }, values))
  if (isAll('discarded')) return where(['finished_at IS NOT NULL AND error IS NOT NULL'])
  if (queueName !== undefined) return where(columnConditions({ queueName }, values))
  const isUnfinished = states.length > 0 && !states.includes('succeeded') && !states.includes('discarded')
  return isUnfinished ? where(['finished_at IS NULL']) : undefined
}

const where = (parts: readonly string[]): string => `SELECT id FROM good_jobs WHERE ${parts.join(' AND ')}`

/** The jobs that a process has, and those that were interrupted, which are looked for among the unfinished ones. */
const RUNNING = `SELECT id FROM good_jobs WHERE locked_by_id IS NOT NULL AND performed_at IS NOT NULL AND finished_at IS NULL
  UNION ALL
  SELECT id FROM (
    SELECT id, performed_at FROM good_jobs WHERE finished_at IS NULL AND locked_by_id IS NULL OFFSET 0
  ) AS unlocked
  WHERE performed_at IS NOT NULL`

/** So many rows are sorted for a page; what an index finds more of is common, and met soon among the youngest jobs. */
const MAX_SORTED = 10_000

/** Finished jobs alone are listed by their end, the last first; all others by their creation, the youngest first. */
const orderOf = ({ states = [] }: JobFilter): 'created_at' | 'finished_at' =>
  states.length > 0 && states.every((state) => state === 'succeeded' || state === 'discarded')
    ? 'finished_at'
    : 'created_at'

const isAfter = (column: string, { at, id }: JobCursor, values: unknown[]): string =>
  `(${column}, id) < ($${values.push(at)}, $${values.push(id)}::uuid)`

/** The page sorted out of the rows that an index finds, if those are few; else one row that says so. $1 now */
const sortedPage = ({ filter, now, limit, after }: JobPage, values: unknown[]): string | undefined => {
  const indexed = indexedRows(filter, values)
  if (indexed === undefined) return undefined
  const order = orderOf(filter)
  const parts = [...conditions(filter, now, values), ...(after ? [isAfter(order, after, values)] : [])]
  return `
WITH found AS MATERIALIZED (
  SELECT id FROM (${indexed}) AS found LIMIT ${MAX_SORTED + 1}
),
few AS (
  SELECT count(*) <= ${MAX_SORTED} AS is_few FROM found
)
SELECT is_few, page.*
FROM few
LEFT JOIN LATERAL (
  SELECT ${COLUMNS}, ${jobStateSql('$1')} AS state
  FROM good_jobs
  WHERE is_few AND id = ANY (ARRAY(SELECT id FROM found)) AND ${parts.join(' AND ')}
  ORDER BY ${order} DESC, id DESC
  LIMIT $${values.push(limit)}
) AS page ON true
ORDER BY ${order} DESC, id DESC`
}

/** Jobs that one statement of a walk reads. */
const STEP = 5_000

/** The next jobs in the order of a page: where they end, and those of them that match. $1 now */
const walkStep = ({ filter, now }: JobPage, after: JobCursor | undefined, values: unknown[]): string => {
  const order = orderOf(filter)
  const isDiscarded = filter.states?.every((state) => state === 'discarded') === true
  const start = [
    ...(order === 'finished_at' ? ['finished_at IS NOT NULL'] : []),
    // By the index of discarded jobs.
    ...(order === 'finished_at' && isDiscarded ? ['error IS NOT NULL'] : []),
    ...(after ? [isAfter(order, after, values)] : []),
  ]
  const parts = conditions(filter, now, values)
  return `
WITH step AS MATERIALIZED (
  SELECT ${COLUMNS}, serialized_params
  FROM good_jobs
  ${whereSql(start)}
  ORDER BY ${order} DESC, id DESC
  LIMIT ${STEP}
),
last AS (
  SELECT ${order} AS last_at, id AS last_id FROM step ORDER BY ${order} ASC, id ASC LIMIT 1
)
SELECT last.last_at, last.last_id, page.*
FROM last
LEFT JOIN (
  SELECT ${COLUMNS}, ${jobStateSql('$1')} AS state FROM step ${whereSql(parts)}
) AS page ON true
ORDER BY page.${order} DESC, page.id DESC`
}

const whereSql = (parts: readonly string[]): string => (parts.length > 0 ? `WHERE ${parts.join(' AND ')}` : '')

export interface JobSearch {
  readonly jobs: readonly ListedJob[]
  /** Where the next page starts; undefined after the last one. */
  readonly next: JobCursor | undefined
  /** The search ran out of time there; the page is not full. */
  readonly isCut: boolean
}

/**
 * One page of jobs in the order of `orderOf`. A search for few among many ends after `budgetMs` with what it found.
 * @default no limit of time
 */
export const listJobs = async (
  db: Queryable,
  { budgetMs = Number.POSITIVE_INFINITY, ...page }: JobPage & { readonly budgetMs?: number },
): Promise<JobSearch> => {
  const oneMore = { ...page, limit: page.limit + 1 }
  const values: unknown[] = [page.now]
  const text = sortedPage(oneMore, values)
  const sorted = text === undefined ? [] : await rowsOf<SortedRow>(db, { text, values })
  if (!sorted[0]?.is_few) return walk(db, oneMore, performance.now() + budgetMs)
  return pageOf(
    page,
    sorted.filter(({ id }) => id !== null).map(({ is_few: _few, ...job }) => job),
  )
}

type SortedRow = ListedJob & { readonly is_few: boolean } & Record<string, unknown>
type WalkedRow = ListedJob & { readonly last_at: string; readonly last_id: string } & Record<string, unknown>

const pageOf = ({ filter, limit }: JobPage, found: readonly ListedJob[]): JobSearch => {
  const jobs = found.slice(0, limit)
  const last = found.length > limit ? jobs.at(-1) : undefined
  return { jobs, next: last && { at: last[orderOf(filter)] ?? '', id: last.id }, isCut: false }
}

/** `page.limit` is one more than the page has. */
const walk = async (db: Queryable, page: JobPage, deadline: number): Promise<JobSearch> => {
  const limit = page.limit - 1
  const jobs: ListedJob[] = []
  let position = page.after
  do {
    const values: unknown[] = [page.now]
    const rows = await rowsOf<WalkedRow>(db, { text: walkStep(page, position, values), values })
    const [row] = rows
    if (row === undefined) return pageOf({ ...page, limit }, jobs)
    position = { at: row.last_at, id: row.last_id }
    jobs.push(...rows.filter(({ id }) => id !== null).map(({ last_at: _at, last_id: _id, ...job }) => job))
    if (jobs.length > limit) return pageOf({ ...page, limit }, jobs)
  } while (performance.now() < deadline)
  return { jobs, next: position, isCut: true }
}

/** How many jobs match, counting no further than `limit`. */
export const countJobs = async (db: Queryable, { filter, now, limit }: Omit<JobPage, 'after'>): Promise<number> => {
  const values: unknown[] = []
  const parts = conditions(filter, now, values)
  const [row] = await rowsOf<{ jobs: number }>(db, {
    text: `SELECT count(*)::int AS jobs FROM (SELECT 1 FROM good_jobs ${whereSql(parts)} LIMIT $${values.push(limit)}) AS matching`,
    values,
  })
  return row?.jobs ?? 0
}

/** A job with what only its own page shows; `serialized_params` is the text of the column. */
export interface ShownJob extends ListedJob {
  readonly serialized_params: string
  readonly updated_at: string
  readonly locked_at: string | null
  readonly error_event: number | null
  readonly cron_at: string | null
}

/** $1 now timestamp · $2 job uuid */
const FIND_JOB = `
SELECT ${COLUMNS}, ${jobStateSql('$1')} AS state, serialized_params, updated_at, locked_at, error_event, cron_at
FROM good_jobs WHERE id = $2`

/** One job, or undefined. */
export const findJob = async (db: Queryable, id: string, now: string): Promise<ShownJob | undefined> => {
  const rows = await rowsOf<ShownJob & Record<string, unknown>>(db, { text: FIND_JOB, values: [now, id] })
  return rows[0]
}

/** One attempt of a job. */
export interface ShownExecution {
  readonly id: string
  readonly created_at: string
  readonly finished_at: string | null
  readonly duration_seconds: number | null
  readonly error: string | null
  readonly error_event: number | null
  readonly error_backtrace: readonly string[] | null
  readonly process_id: string | null
}

/** $1 job uuid */
const FIND_EXECUTIONS = `
SELECT id, created_at, finished_at, extract(epoch FROM duration)::float8 AS duration_seconds, error, error_event, error_backtrace, process_id
FROM good_job_executions WHERE active_job_id = $1 ORDER BY created_at, id`

/** The attempts of a job, oldest first. */
export const findExecutions = (db: Queryable, jobId: string): Promise<ShownExecution[]> =>
  rowsOf<ShownExecution & Record<string, unknown>>(db, { text: FIND_EXECUTIONS, values: [jobId] })
