import { type Queryable, rowsOf } from '../connection/queryable.ts'
import {
  conditions,
  fewRows,
  indexedRows,
  isAfter,
  type JobCursor,
  type JobFilter,
  nextJobs,
  orderOf,
  STEP,
  whereSql,
} from './filter.ts'
import { type JobState, jobStateSql } from './states.ts'

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

/** The page, sorted from the rows that an index finds, if those are few; otherwise one row with `is_few` false. $1 now */
const sortedPage = ({ filter, now, limit, after }: JobPage, values: unknown[]): string | undefined => {
  const indexed = indexedRows(filter, now, values)
  if (indexed === undefined) return undefined
  const order = orderOf(filter)
  const parts = [...conditions(filter, now, values), ...(after ? [isAfter(order, after, values)] : [])]
  return `
WITH ${fewRows(indexed)}
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

/** Reads the next jobs in the order of a page: where they end, and which of them match. $1 now */
const walkStep = ({ filter, now }: JobPage, after: JobCursor | undefined, values: unknown[]): string => {
  const order = orderOf(filter)
  const step = nextJobs(filter, after, `${COLUMNS}, serialized_params`, values)
  return `
WITH ${step}
SELECT last.last_at, last.last_id, (SELECT count(*)::int FROM step) AS seen, page.*
FROM last
LEFT JOIN (
  SELECT ${COLUMNS}, ${jobStateSql('$1')} AS state FROM step ${whereSql(conditions(filter, now, values))}
) AS page ON true
ORDER BY page.${order} DESC, page.id DESC`
}

export interface JobSearch {
  readonly jobs: readonly ListedJob[]
  /** Where the next page starts; undefined after the last one. */
  readonly next: JobCursor | undefined
  /** The search ran out of time at `next`; the page is not full. */
  readonly isCut: boolean
}

/**
 * Returns one page of jobs in the order of `orderOf`. A search for rare jobs ends after `budgetMs` with the jobs found by then.
 * @default no time limit
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
type WalkedRow = ListedJob & StepEnd & Record<string, unknown>

interface StepEnd {
  readonly last_at: string
  readonly last_id: string
  readonly seen: number
}

const pageOf = ({ filter, limit }: JobPage, found: readonly ListedJob[]): JobSearch => {
  const jobs = found.slice(0, limit)
  const last = found.length > limit ? jobs.at(-1) : undefined
  return { jobs, next: last && { at: last[orderOf(filter)] ?? '', id: last.id }, isCut: false }
}

/** `page.limit` is one more than the size of the page. */
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
    jobs.push(...rows.filter(({ id }) => id !== null).map(({ last_at: _at, last_id: _id, seen: _seen, ...job }) => job))
    if (jobs.length > limit || row.seen < STEP) return pageOf({ ...page, limit }, jobs)
  } while (performance.now() < deadline)
  return { jobs, next: position, isCut: true }
}

/** A job with the columns that only its own page shows; `serialized_params` is the text of the column. */
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

/** Returns one job, or undefined. */
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

/** Returns the attempts of a job, oldest first. */
export const findExecutions = (db: Queryable, jobId: string): Promise<ShownExecution[]> =>
  rowsOf<ShownExecution & Record<string, unknown>>(db, { text: FIND_EXECUTIONS, values: [jobId] })
