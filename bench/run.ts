import type { Contender } from './contenders.ts'
import type { BenchServer } from './server.ts'

/** One number for each round. */
export interface Series {
  readonly name: string
  readonly family: string
  readonly x: number
  readonly values: number[]
  /** Jobs, or whatever was counted, of each round. */
  readonly size: number
}

/** A figure of a suite: one table, and a picture if it has curves. */
export interface Figure {
  readonly suite: string
  readonly title: string
  readonly unit: string
  /** What x is; absent: bars. */
  readonly xTitle?: string
  readonly series: Series[]
}

export interface RunOptions {
  readonly server: BenchServer
  readonly rounds: number
  /** Multiplies the number of jobs. */
  readonly scale: number
  /** Only contenders whose name matches. */
  readonly contenders: RegExp
  readonly say: (text: string) => void
}

export interface Suite {
  readonly name: string
  readonly run: (options: RunOptions) => Promise<Figure[]>
}

/** Rounds in which the contenders take turns, so that what the machine does meanwhile meets them all. */
export const alternate = async (
  { rounds, contenders: wanted, say }: RunOptions,
  contenders: readonly Contender[],
  measure: (contender: Contender) => Promise<{ readonly value: number; readonly size: number; readonly note?: string }>,
): Promise<Series[]> => {
  const series = new Map<string, Series>()
  for (let round = 1; round <= rounds; round += 1) {
    for (const contender of contenders.filter(({ name }) => wanted.test(name))) {
      const { value, size, note = '' } = await measure(contender)
      const { name, family, x } = contender
      const known = series.get(name) ?? { name, family, x, values: [], size }
      known.values.push(value)
      series.set(name, known)
      say(`  round ${round}  ${name.padEnd(58)} ${value.toFixed(value < 100 ? 2 : 0).padStart(9)}  ${note}`)
    }
  }
  return [...series.values()]
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}
