import type { Contender } from './contenders.ts'
import { type Figure, keyText, type Series } from './figure.ts'
import type { BenchServer } from './server.ts'

export interface RunOptions {
  readonly server: BenchServer
  readonly rounds: number
  /** Multiplies the number of jobs. */
  readonly scale: number
  /** Only contenders whose name matches. */
  readonly contenders: RegExp
  /** The results go into docs/. */
  readonly isWritten: boolean
  readonly say: (text: string) => void
}

/** Size and day are the run's. */
export type MeasuredFigure = Omit<Figure, 'scale' | 'date'>

export interface Suite {
  readonly name: string
  /** Chooses several suites at once. */
  readonly group?: string
  readonly run: (options: RunOptions) => Promise<MeasuredFigure[]>
}

/** One number of one round. */
export interface Measured {
  readonly value: number
  readonly size: number
  readonly note?: string
}

/** What identifies a series, and how it is shown. */
export type Named = Pick<Contender, 'name' | 'key' | 'family' | 'x'>

/** Collects the numbers of a figure's series, and prints each. */
export class Collector {
  readonly #series = new Map<string, Series>()
  readonly #say: (text: string) => void

  constructor(say: (text: string) => void) {
    this.#say = say
  }

  add({ name, key, family, x }: Named, round: number, { value, size, note = '' }: Measured): void {
    const known = this.#series.get(keyText(key)) ?? { name, key, family, x, values: [], size }
    known.values.push(Number(value.toPrecision(5)))
    this.#series.set(keyText(key), known)
    this.#say(`  round ${round}  ${name.padEnd(58)} ${shown(value).padStart(9)}  ${note}`)
  }

  get series(): Series[] {
    return [...this.#series.values()]
  }
}

/** As many digits as mean something. */
export const shown = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))

/** Rounds in which the contenders take turns, so that other load of the machine affects all of them. */
export const alternate = async <C extends Named>(
  { rounds, contenders: wanted, say }: RunOptions,
  contenders: readonly C[],
  measure: (contender: C) => Promise<Measured>,
): Promise<Series[]> => {
  const collector = new Collector(say)
  for (let round = 1; round <= rounds; round += 1) {
    for (const contender of contenders.filter(({ name }) => wanted.test(name)))
      collector.add(contender, round, await measure(contender))
  }
  return collector.series
}
