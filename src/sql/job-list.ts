import { type JobState, jobStateFilterSql, jobStateSql } from './job-states.ts'
import { type Queryable, rowsOf } from './types.ts'

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
  readonly created_at: string
  readonly id: string
}

export interface JobPage {
  readonly filter: JobFilter
  readonly now: string
  readonly limit: number
  readonly after?: JobCursor | undefined
}

/** A job as a list shows it; times are ISO text. */
export interface ListedJob extends JobCursor {
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
  const is = (column: string, value: unknown) => `${column} = $${values.push(value)}`
  const states = filter.states?.map((state) => `(${stateCondition(state, now, values)})`) ?? []
  return [
    ...(states.length > 0 ? [`(${states.join(' OR ')})`] : []),
    ...(filter.queueName === undefined ? [] : [is('queue_name', filter.queueName)]),
    ...(filter.jobClass === undefined ? [] : [is('job_class', filter.jobClass)]),
    ...(filter.label === undefined ? [] : [`labels @> ARRAY[$${values.push(filter.label)}::text]`]),
    ...(filter.batchId === undefined ? [] : [is('batch_id', filter.batchId)]),
  ]
}

const stateCondition = (state: JobState, now: string, values: unknown[]): string => {
  const text = jobStateFilterSql(state, '$now')
  return text.includes('$now') ? text.replaceAll('$now', `$${values.push(now)}`) : text
}

const whereSql = (parts: readonly string[]): string => (parts.length > 0 ? `WHERE ${parts.join('\n  AND ')}` : '')

/** One page of jobs, youngest first, along the index on created_at. */
export const listJobs = (db: Queryable, { filter, now, limit, after }: JobPage): Promise<ListedJob[]> => {
  const values: unknown[] = [now]
  const parts = conditions(filter, now, values)
  if (after) parts.push(`(created_at, id) < ($${values.push(after.created_at)}, $${values.push(after.id)}::uuid)`)
  return rowsOf<ListedJob & Record<string, unknown>>(db, {
    text: `SELECT ${COLUMNS}, ${jobStateSql('$1')} AS state
FROM good_jobs
${whereSql(parts)}
ORDER BY created_at DESC, id DESC
LIMIT $${values.push(limit)}`,
    values,
  })
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
