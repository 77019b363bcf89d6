import type { Pool } from 'pg'

/** What a job left in the database, without what differs between two runs of the same: every column of every row. */
export interface Trace {
  readonly job: Row
  /** Oldest first. */
  readonly executions: readonly Row[]
  /** Every moment in the rows, in order; those that are equal to the microsecond stand together. */
  readonly timeline: readonly string[]
}

type Row = Readonly<Record<string, unknown>>

const SELECT_JOB = 'SELECT to_jsonb(good_jobs) AS row FROM good_jobs WHERE id = $1'
const SELECT_EXECUTIONS = `
  SELECT to_jsonb(good_job_executions) AS row FROM good_job_executions WHERE active_job_id = $1 ORDER BY created_at, id`

/** Where a UUID says its version: ids by time would tell the attempts of one side from the other's. */
const VERSION_INDEX = 14

/** Names of the times in a row, and in its serialized_params. */
const TIME = /_at$/
const TIMESTAMP = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)?$/
const TIMES_IN_TEXT = /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?(Z|UTC|[+-]\d\d:?\d\d))?/g

/** Reads the rows of a job; `names` says what to call ids: of the job itself, of processes and of batches. */
export const traceOf = async (pool: Pool, jobId: string, names: ReadonlyMap<string, string>): Promise<Trace> => {
  const [jobs, executions] = await Promise.all([
    pool.query<{ row: Row }>(SELECT_JOB, [jobId]),
    pool.query<{ row: Row }>(SELECT_EXECUTIONS, [jobId]),
  ])
  const [job] = jobs.rows
  if (job === undefined) throw new Error(`no job ${jobId}`)
  const moments: [string, string][] = []
  const plain = (row: Row, path: string) => normalise(row, path, new Map([...names, [jobId, 'the job']]), moments)
  return {
    job: plain(job.row, 'job'),
    executions: executions.rows.map(({ row }, index) => plain(row, `execution ${index + 1}`)),
    timeline: timelineOf(moments),
  }
}

const normalise = (row: Row, path: string, names: ReadonlyMap<string, string>, moments: [string, string][]): Row => {
  const plain: Record<string, unknown> = {}
  for (const [column, value] of Object.entries(row)) plain[column] = plainValue(column, value)
  return plain

  function plainValue(column: string, value: unknown): unknown {
    if (value === null) return null
    if (column === 'serialized_params') return normalise(value as Row, `${path}.params`, names, moments)
    if (TIME.test(column) && typeof value === 'string' && TIMESTAMP.test(value)) {
      moments.push([value, `${path}.${column}`])
      return 'a time'
    }
    if (column === 'error_backtrace') return Array.isArray(value) && value.length > 0 ? 'a backtrace' : value
    if (column === 'duration') return /^\d\d:\d\d:\d\d(\.\d+)?$/.test(String(value)) ? 'a duration' : value
    if (column === 'id' && path.startsWith('execution') && !path.endsWith('params'))
      return `a UUID of version ${String(value)[VERSION_INDEX]}`
    if (typeof value !== 'string') return value
    return names.get(value) ?? value.replaceAll(TIMES_IN_TEXT, 'a time')
  }
}

const timelineOf = (moments: readonly (readonly [string, string])[]): string[] => {
  const groups: { time: bigint; names: string[] }[] = []
  const sorted = moments.map(([time, name]) => ({ time: toMicroseconds(time), name }))
  for (const { time, name } of sorted.toSorted((a, b) => Number(a.time - b.time))) {
    const last = groups.at(-1)
    if (last !== undefined && (last.time === time || isSameSchedule(last, { time, name }))) last.names.push(name)
    else groups.push({ time, names: [name] })
  }
  return groups.map(({ names }) => names.toSorted().join(' = '))
}

/** Ruby takes the column of a scheduled job through a float, which may differ from the hash in the last microsecond. */
const isSameSchedule = (group: { time: bigint; names: string[] }, moment: { time: bigint; name: string }): boolean =>
  [...group.names, moment.name].every((name) => name.endsWith('scheduled_at')) && moment.time - group.time <= 1n

/** Columns have microseconds and no zone, the hash nanoseconds and Z. */
const toMicroseconds = (time: string): bigint => {
  const [whole = '', fraction = ''] = time
    .replace(' ', 'T')
    .replace(/(Z| UTC)$/, '')
    .split('.')
  return BigInt(Date.parse(`${whole}Z`)) * 1000n + BigInt(fraction.padEnd(6, '0').slice(0, 6))
}
