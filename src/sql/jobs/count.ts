import { type Queryable, rowsOf } from '../connection/queryable.ts'
import { conditions, fewRows, indexedRows, type JobCursor, type JobFilter, nextJobs, STEP, whereSql } from './filter.ts'

export interface JobCount {
  readonly jobs: number
  /** True if there may be more: `limit` was reached, or the time ran out. */
  readonly isCapped: boolean
}

interface CountOptions {
  readonly filter: JobFilter
  readonly now: string
  readonly limit: number
  readonly budgetMs: number
}

/** Counts jobs that match, up to `limit` and for at most `budgetMs`. */
export const countJobs = async (db: Queryable, options: CountOptions): Promise<JobCount> => {
  const few = await countIndexed(db, options)
  if (few !== undefined) return { jobs: Math.min(few, options.limit), isCapped: few >= options.limit }
  const deadline = performance.now() + options.budgetMs
  let jobs = 0
  let position: JobCursor | undefined
  do {
    const step = await countStep(db, options, position)
    if (step === undefined) return { jobs, isCapped: false }
    jobs += step.jobs
    if (step.seen < STEP && jobs < options.limit) return { jobs, isCapped: false }
    position = { at: step.last_at, id: step.last_id }
  } while (jobs < options.limit && performance.now() < deadline)
  return { jobs: Math.min(jobs, options.limit), isCapped: true }
}

/** Counts among the rows that one index finds; undefined if those are many, or no index serves the filter. */
const countIndexed = async (db: Queryable, { filter, now }: CountOptions): Promise<number | undefined> => {
  const values: unknown[] = []
  const indexed = indexedRows(filter, now, values)
  if (indexed === undefined) return undefined
  const text = `
WITH ${fewRows(indexed)}
SELECT is_few, (
  SELECT count(*)::int FROM good_jobs
  WHERE is_few AND id = ANY (ARRAY(SELECT id FROM found)) AND ${conditions(filter, now, values).join(' AND ')}
) AS jobs
FROM few`
  const [row] = await rowsOf<{ is_few: boolean; jobs: number }>(db, { text, values })
  return row?.is_few ? row.jobs : undefined
}

interface CountedStep extends Record<string, unknown> {
  readonly last_at: string
  readonly last_id: string
  readonly seen: number
  readonly jobs: number
}

/** The columns that a condition may read. */
const COUNTED =
  'id, created_at, job_class, queue_name, labels, batch_id, scheduled_at, performed_at, finished_at, error, serialized_params'

/** Counts among the next jobs in the order of a list; undefined after the last one. */
const countStep = async (
  db: Queryable,
  { filter, now }: CountOptions,
  after: JobCursor | undefined,
): Promise<CountedStep | undefined> => {
  const values: unknown[] = []
  const text = `
WITH ${nextJobs(filter, after, COUNTED, values)}
SELECT last_at, last_id, (SELECT count(*)::int FROM step) AS seen, (SELECT count(*)::int FROM step ${whereSql(conditions(filter, now, values))}) AS jobs
FROM last`
  const [row] = await rowsOf<CountedStep>(db, { text, values })
  return row
}
