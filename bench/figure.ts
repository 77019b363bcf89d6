/** One number for each round. */
export interface Series {
  /** The name for readers; its wording may change. */
  readonly name: string
  readonly key: SeriesKey
  /** Series of one family are one curve, or bars of one colour. */
  readonly family: string
  readonly x: number
  readonly values: number[]
  /** Jobs, or whatever was counted, of each round. */
  readonly size: number
}

/**
 * What a series measures, in parts that stay when its name changes. No two series of a figure have the same key: rounds are joined by it,
 * goals and the summary select by it. Settings of good-job-node that are not named have their defaults.
 */
export interface SeriesKey {
  readonly library?: 'good-job-node' | 'good-job' | 'graphile-worker' | 'pg-boss' | 'floor'
  /** How the library is used, where it knows several ways. */
  readonly variant?: Variant
  /** Jobs that run at the same time. */
  readonly threads?: number
  /** Jobs that are fetched at once. */
  readonly batch?: number
  /** Sessions that claim. */
  readonly connections?: number
  readonly deferStart?: number
  readonly preserveJobRecords?: boolean
  readonly queues?: string
  readonly processes?: number
  /** Jobs that wait at the beginning. */
  readonly waiting?: number
  /** Jobs that had run when it was measured. */
  readonly done?: number
  /** Rows in the tables besides the measured jobs. */
  readonly place?: string
  /** The program that enqueued the jobs. */
  readonly origin?: 'node' | 'rails'
  readonly percentile?: 'p50' | 'p99'
  /** The measured action: a command of the command line, a way to fill batches. */
  readonly action?: string
  /** Where a claim begins. */
  readonly from?: string
  /** The concurrency rule of the jobs. */
  readonly rule?: string
}

type Variant = 'classic' | 'deferred' | 'batching' | 'loops' | 'notify' | 'advisory' | 'skiplocked' | 'hybrid'

/** A key, or the parts of it that matter. */
export const matches = (key: SeriesKey, wanted: SeriesKey): boolean =>
  Object.entries(wanted).every(([part, value]) => key[part as keyof SeriesKey] === value)

/** Equal for keys with the same parts, in whatever order. */
export const keyText = (key: SeriesKey): string =>
  JSON.stringify(Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1)))

/** One table, and one picture. */
export interface Figure {
  /** Its place in docs/performance.md, and the name of its picture. */
  readonly id: string
  readonly title: string
  readonly unit: string
  /** What x is; absent: bars instead of curves. */
  readonly xTitle?: string
  /** Scales of curves. @default both are logarithmic */
  readonly isLinear?: boolean
  readonly series: Series[]
  /** Multiple of the full number of jobs. */
  readonly scale: number
  /** Day of the last round. */
  readonly date?: string
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** The value below which `share` of them lie. */
export const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN
