import { stripVTControlCharacters } from 'node:util'
import Table from 'cli-table3'
import { pc } from '../colors.ts'
import { clearProgress } from './progress.ts'

/** Writes a line to standard output. */
export const print = (line = ''): void => {
  clearProgress()
  process.stdout.write(`${line}\n`)
}

/** Writes a value as JSON to standard output. */
export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2))

/** Columns of the terminal; without a terminal, wide enough for a log file. */
export const terminalWidth = (): number => process.stdout.columns ?? 160

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
}

const MIN_LAST_WIDTH = 12

/** Aligned columns without borders; the last column is cut at the edge of the terminal. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const widths = head.map((title, index) =>
    Math.max(...[title, ...rows.map((row) => row[index] ?? '')].map((text) => stripVTControlCharacters(text).length)),
  )
  const last = widths.length - 1
  const others = widths.slice(0, last).reduce((sum, width) => sum + width + 2, 0)
  widths[last] = Math.min(widths[last] ?? 0, Math.max(MIN_LAST_WIDTH, terminalWidth() - others - 1))
  const drawn = new Table({
    head: head.map((title) => pc.bold(title)),
    chars: NO_BORDERS,
    colWidths: widths,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  })
  drawn.push(...rows.map((row) => row.map((text) => text.replaceAll(/\s+/g, ' '))))
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** `2026-01-31 12:00:00` in UTC, or a dash. */
export const timeText = (time: string | Date | null | undefined): string => {
  if (time === null || time === undefined) return '–'
  return (typeof time === 'string' ? time : time.toISOString()).slice(0, 19).replace('T', ' ')
}

const UNITS: readonly (readonly [number, string])[] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
]

/** `5 s`, `3 min`, `2 d`. */
export const durationText = (seconds: number): string => {
  const [size, unit] = UNITS.find(([size]) => Math.abs(seconds) >= size) ?? [1, 's']
  const amount = seconds / size
  return unit === 's' && Math.abs(amount) < 10 ? `${Number(amount.toFixed(2))} s` : `${Math.round(amount)} ${unit}`
}

/** `3 min ago`, `in 5 s`. */
export const agoText = (time: string | Date | null, now: Date): string => {
  if (time === null) return '–'
  const seconds = (now.getTime() - new Date(time).getTime()) / 1000
  return seconds >= 0 ? `${durationText(Math.round(seconds))} ago` : `in ${durationText(Math.round(-seconds))}`
}

/** `1 job`, `2 jobs`. */
export const plural = (count: number, word: string): string =>
  `${count} ${count === 1 ? word : word.endsWith('ch') || word.endsWith('ss') ? `${word}es` : `${word}s`}`

/** Renames fields to snake case, as in the tables, and turns dates into ISO text; for --json. */
export const snakeCase = (value: unknown): unknown => {
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(snakeCase)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCase(each),
    ]),
  )
}
