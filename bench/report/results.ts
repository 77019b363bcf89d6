import { readFile, writeFile } from 'node:fs/promises'
import { type Figure, keyText } from '../figure.ts'
import type { Machine } from './machine.ts'

const PATH = new URL('../../docs/performance.json', import.meta.url)

/** All data of docs/performance.md. */
export interface Results {
  readonly machine: Machine
  readonly figures: Figure[]
}

export const readResults = async (): Promise<Results | undefined> => {
  const content = await readFile(PATH, 'utf8').catch(() => undefined)
  return content === undefined ? undefined : JSON.parse(content)
}

export const writeResults = async (results: Results): Promise<void> => writeFile(PATH, resultsText(results))

/** The numbers of a series, and its key, on one line each. */
export const resultsText = (results: Results): string =>
  `${JSON.stringify(results, null, 1)
    .replaceAll(/\[\s+([-\d.,\s]+?)\s+\]/g, (_all, numbers: string) => `[${onOneLine(numbers)}]`)
    .replaceAll(/"key": \{\s+([^{}]+?)\s+\}/g, (_all, parts: string) => `"key": { ${onOneLine(parts)} }`)}\n`

const onOneLine = (text: string): string => text.replaceAll(/\n\s+/g, ' ')

/** New figures beside the known ones. With `isAdding` their rounds join those of the same series at the same size. */
export const merge = (known: readonly Figure[], added: readonly Figure[], isAdding: boolean): Figure[] => {
  const figures = new Map(known.map((figure) => [figure.id, figure]))
  for (const figure of added) {
    const before = figures.get(figure.id)
    figures.set(figure.id, isAdding && before !== undefined ? join(before, figure) : figure)
  }
  return [...figures.values()]
}

const join = (before: Figure, figure: Figure): Figure => {
  const series = new Map(before.series.map((each) => [keyText(each.key), each]))
  for (const each of figure.series) {
    const same = series.get(keyText(each.key))
    const values = same?.size === each.size ? [...same.values, ...each.values] : each.values
    series.set(keyText(each.key), { ...each, values })
  }
  return { ...figure, series: [...series.values()] }
}
