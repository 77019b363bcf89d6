import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { type Figure, median } from '../figure.ts'
import { shown } from '../run.ts'
import { goalTable } from './goals.ts'
import type { Machine } from './machine.ts'
import type { Results } from './results.ts'
import { drawSummary, summaryTable } from './summary.ts'
import { drawFigure } from './svg.ts'

const DOCS = new URL('../../docs/', import.meta.url)
export const PAGE = new URL('performance.md', DOCS)

/** Fills docs/performance.md, and draws the pictures beside it. */
export const writeDocuments = async (results: Results): Promise<void> => {
  await mkdir(new URL('performance/', DOCS), { recursive: true })
  for (const figure of results.figures)
    await writeFile(new URL(`performance/${figure.id}.svg`, DOCS), drawFigure(figure))
  await writeFile(new URL('performance/summary.svg', DOCS), drawSummary(results.figures))
  const before = await readFile(PAGE, 'utf8')
  const after = filled(before, results)
  if (after !== before) await writeFile(PAGE, after)
}

/** The page with the results between each `<!-- bench: name -->` and `<!-- /bench -->`. */
export const filled = (page: string, results: Results): string =>
  page.replaceAll(
    /(<!-- bench: ([\w-]+) -->)[\s\S]*?(<!-- \/bench -->)/g,
    (all, open: string, name: string, close: string) => {
      const content = block(name, results)
      return content === undefined ? all : `${open}\n\n${content}\n\n${close}`
    },
  )

const block = (name: string, { machine, figures }: Results): string | undefined => {
  if (name === 'machine') return machineText(machine)
  if (name === 'summary') return summaryTable(figures)
  if (name === 'goals') return goalTable(figures)
  const figure = figures.find(({ id }) => id === name)
  return figure && `![${figure.title}](performance/${figure.id}.svg)\n\n${figureTable(figure)}`
}

const machineText = ({ date, cpu, cores, memoryGb, system, versions, settings }: Machine): string => {
  const list = (values: Readonly<Record<string, string>>) =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')
  return [
    `${date}; ${cpu}, ${cores} cores shared by server, workers and everything else, ${memoryGb} GB, ${system}.`,
    '',
    `${list(versions)}.`,
    '',
    `Postgres: ${list(settings)}.`,
  ].join('\n')
}

const figureTable = ({ unit, series, scale, date }: Figure): string => {
  const rounds = series.map(({ values }) => values.length)
  const range =
    Math.min(...rounds) === Math.max(...rounds) ? `${rounds[0]}` : `${Math.min(...rounds)} to ${Math.max(...rounds)}`
  const rows = series.map(({ name, values, size }) => [
    name,
    shown(median(values)),
    `${shown(Math.min(...values))} – ${shown(Math.max(...values))}`,
    size.toLocaleString('en'),
  ])
  const note = `${range} ${range === '1' ? 'round' : 'rounds'}${scale === 1 ? '' : `, ${scale} times the full size`}${date === undefined ? '' : `, ${date}`}.`
  return `${table(['', `${unit}, median`, 'min – max', 'jobs a round'], rows)}\n\n${note}`
}

/** A Markdown table whose columns after the first are aligned to the right, as the formatter would write it. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const width = (column: number) => Math.max(3, ...[head, ...rows].map((cells) => cells[column]?.length ?? 0))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(width(column)) : cell.padStart(width(column)))).join(' | ')} |`
  const dashes = head.map((_, column) =>
    column === 0 ? '-'.repeat(width(column)) : `${'-'.repeat(width(column) - 1)}:`,
  )
  return [line(head), line(dashes), ...rows.map(line)].join('\n')
}
