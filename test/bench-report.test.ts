import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { type Figure, keyText, median, type SeriesKey } from '../bench/figure.ts'
import { filled, PAGE } from '../bench/report/document.ts'
import { GOALS, goalTable, seriesOf } from '../bench/report/goals.ts'
import { limitGoals } from '../bench/report/limit-goals.ts'
import { merge, type Results, readResults, resultsText } from '../bench/report/results.ts'
import { summaryTable } from '../bench/report/summary.ts'
import { drawFigure } from '../bench/report/svg.ts'

type Rates = readonly (readonly [name: string, key: SeriesKey, values: number[]])[]

const keyed = (rates: Rates, id = 'drain'): Figure => ({
  id,
  title: 'No-op jobs',
  unit: 'jobs/s',
  xTitle: 'threads',
  scale: 1,
  series: rates.map(([name, key, values], index) => ({ name, key, family: name, x: index + 1, values, size: 100 })),
})

const figure = (rates: Readonly<Record<string, number[]>>, id?: string): Figure =>
  keyed(
    Object.entries(rates).map(([name, values]) => [name, { action: name }, values]),
    id,
  )

const stored = async (): Promise<Results> => {
  const results = await readResults()
  if (results === undefined) throw new Error('docs/performance.json is missing')
  return results
}

const node = (threads: number, settings: SeriesKey = {}): SeriesKey => ({
  library: 'good-job-node',
  threads,
  connections: 1,
  deferStart: 0,
  ...settings,
})

test('a median is the middle of the rounds, or the mean of the two in the middle', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 2, 3])).toBe(2.5)
})

describe('figures of two runs', () => {
  const known = [figure({ a: [1], b: [2] }), figure({ c: [3] }, 'enqueue')]

  test('replace those of the same suite and leave the others', () => {
    expect(merge(known, [figure({ a: [5] })], false)).toEqual([figure({ a: [5] }), figure({ c: [3] }, 'enqueue')])
  })

  test('join their rounds where they are added', () => {
    const [joined] = merge(known, [figure({ a: [5] })], true)
    expect(joined?.series.map(({ values }) => values)).toEqual([[1, 5], [2]])
  })

  test('join no rounds of another size', () => {
    const larger = figure({ a: [5] })
    const [joined] = merge(known, [{ ...larger, series: larger.series.map((each) => ({ ...each, size: 200 })) }], true)
    expect(joined?.series.map(({ values }) => values)).toEqual([[5], [2]])
  })
})

test('a goal says by how much it was missed, and one that was not measured is left out', () => {
  const measured = keyed([
    ['100 threads', node(100), [600, 500, 400]],
    ['floor', { library: 'floor', variant: 'classic', connections: 1, batch: 100 }, [1_000]],
    ['500 threads', node(500), [3_000]],
    ['500 threads, deferStart 10', node(500, { deferStart: 10 }), [9_000]],
    ['Ruby', { library: 'good-job', variant: 'advisory', threads: 5 }, [100]],
  ])
  const lines = goalTable([measured])
    .split('\n')
    .map((line) => line.replaceAll(/ +/g, ' '))
  expect(lines).toContain(
    '| drain, 100 threads, 1 lane | 500 | classic floor, 100 × 1: 1,000 | 0.50 | ≥ 0.8 | missed: 62 % of it |',
  )
  const ruby = 'GoodJob, 5 threads, its best: 100'
  expect(lines).toContain(
    `| drain, best setting without deferStart | 3,000 | ${ruby} | 30.00 | ≥ 50 | missed: 60 % of it |`,
  )
  expect(lines).toContain(`| drain, best setting | 9,000 | ${ruby} | 90.00 | ≥ 80 | reached |`)
  expect(lines.join()).not.toContain('pg-boss')
})

test('a goal for each of several series is measured by the slowest', () => {
  const commands = figure({ 'good-job --version': [0.2], 'good-job doctor': [0.6, 0.7] }, 'commands')
  expect(goalTable([commands])).toMatch(/slowest command.*\| +0\.65 \|.*missed: 76 % of it/)
})

test('every goal finds its series among the stored ones', async () => {
  const { figures } = await stored()
  const notMeasuredYet = ['commands', ...limitGoals.flatMap(({ ours: [ids] }) => ids)]
  const sources = GOALS.flatMap(({ name, ours, theirs }) =>
    [ours, ...(typeof theirs === 'number' ? [] : [theirs])].map((source) => ({ name, source })),
  )
  const withoutSeries = sources
    .filter(({ source: [ids] }) => !ids.every((id) => notMeasuredYet.includes(id)))
    .filter(({ source }) => seriesOf(figures, source).length === 0)
  expect(withoutSeries).toEqual([])
})

test('no two series of a figure have the same key', async () => {
  for (const { id, series } of (await stored()).figures) {
    const keys = series.map(({ key }) => keyText(key))
    expect(new Set(keys).size, id).toBe(keys.length)
  }
})

test('a new name of a series changes neither the goals, nor what the summary shows, nor whose rounds it joins', async () => {
  const { figures } = await stored()
  const renamed = figures.map((each) => ({
    ...each,
    series: each.series.map((series, index) => ({ ...series, name: `series ${index}` })),
  }))
  expect(goalTable(renamed)).toBe(goalTable(figures))
  const rates = (table: string) => table.split('\n').map((line) => line.split('|')[2]?.trim())
  expect(rates(summaryTable(renamed))).toEqual(rates(summaryTable(figures)))
  const count = (all: readonly Figure[]) => all.flatMap(({ series }) => series).length
  expect(count(merge(figures, renamed, true))).toBe(count(figures))
})

test('the stored figures are written as they were read', async () => {
  expect(resultsText(await stored())).toBe(await readFile(new URL('../docs/performance.json', import.meta.url), 'utf8'))
})

test('the summary shows the fastest series of each kind', () => {
  const rates: Rates = [
    ['good-job-node, 10 threads', node(10), [1]],
    ['good-job-node, 500 threads, lanes 2', node(500, { connections: 2 }), [7]],
  ]
  expect(summaryTable([keyed(rates, 'drain-lanes')])).toMatch(
    /\| good-job-node, best setting \(500 threads, lanes 2\) +\| +7 \|/,
  )
})

test('docs/performance.md shows the figures of docs/performance.json', async () => {
  const results = await stored()
  const page = await readFile(PAGE, 'utf8')
  expect(filled(page, results)).toBe(page)
  expect(page).toMatch(/<!-- bench: goals -->\n\n\|/)
})

test.each([
  ['curves', figure({ 'a < b': [10, 20], c: [3_000] })],
  ['bars', { ...figure({ 'a < b': [10, 20], c: [3_000] }), xTitle: undefined }],
])('%s are drawn with every name, escaped', (_kind, drawn) => {
  const { xTitle, ...rest } = drawn
  const svg = drawFigure(xTitle === undefined ? rest : { ...rest, xTitle })
  expect(svg).toMatch(/^<svg [\s\S]*<\/svg>\n$/)
  expect(svg).toContain('>a &lt; b</text>')
  expect(svg).toContain('>c</text>')
  expect(svg).not.toMatch(/NaN|undefined|Infinity/)
})

test('a picture with linear scales begins at zero and keeps distances', () => {
  const { series, ...rest } = figure({ a: [100], b: [200], c: [300] })
  const curve = series.map((each, index) => ({ ...each, family: 'one', x: index * 500 }))
  const svg = drawFigure({ ...rest, isLinear: true, series: curve })
  const points = [...(/<polyline points="([^"]*)"/.exec(svg)?.[1] ?? '').matchAll(/([\d.]+),([\d.]+)/g)].map(
    ([, x, y]) => [Number(x), Number(y)] as const,
  )
  const [first, second, third] = points
  if (first === undefined || second === undefined || third === undefined) throw new Error('no curve')
  for (const axis of [0, 1] as const) expect(second[axis] - first[axis]).toBeCloseTo(third[axis] - second[axis], 0)
  const ticks = [...svg.matchAll(/text-anchor="end">([^<]*)<\/text>/g)].map(([, tick]) => tick)
  expect(ticks).toEqual(['0', '50', '100', '150', '200', '250', '300'])
  expect(svg).not.toMatch(/NaN|undefined|Infinity/)
})

test('long names leave room for the bars, and an axis names the points that were measured', () => {
  const { xTitle: _xTitle, ...bars } = figure({ [`a ${'very '.repeat(30)}long name`]: [100], b: [50] })
  const svg = drawFigure(bars)
  const width = Number(/viewBox="0 0 ([\d.]+) /.exec(svg)?.[1])
  const rects = [...svg.matchAll(/<rect x="([\d.]+)"[^>]* width="([\d.]+)"/g)].map(([, x, bar]) => [
    Number(x),
    Number(bar),
  ])
  expect(rects[0]?.[1]).toBeGreaterThanOrEqual(300)
  for (const [x = 0, bar = 0] of rects) expect(x + bar).toBeLessThan(width)
  const { series, ...curves } = figure({ a: [1], b: [2], c: [3] })
  const at = [1, 2, 4]
  const svgOfCurves = drawFigure({ ...curves, series: series.map((each, index) => ({ ...each, x: at[index] ?? 0 })) })
  const ticks = [...svgOfCurves.matchAll(/text-anchor="middle">([^<]*)<\/text>/g)].map(([, tick]) => tick)
  expect(ticks).toEqual(['1', '2', '4'])
})
