/** One number for each round. */
export interface Series {
  readonly name: string
  /** Series of one family are one curve, or bars of one colour. */
  readonly family: string
  readonly x: number
  readonly values: number[]
  /** Jobs, or whatever was counted, of each round. */
  readonly size: number
}

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
