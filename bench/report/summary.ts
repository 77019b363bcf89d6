import { type Figure, median, type Series, type SeriesKey } from '../figure.ts'
import { shown } from '../run.ts'
import { table } from './document.ts'
import { seriesOf } from './goals.ts'
import { drawFigure } from './svg.ts'

/** A line of the summary: the fastest series of these that was measured. */
interface Line {
  readonly label: string
  readonly series: SeriesKey
  /** Of several settings the fastest, which is named. */
  readonly isBest?: boolean
  /** Whether finished jobs are kept or deleted. */
  readonly keeps: string
  readonly lock: string
}

const FULL = 'job and every attempt'
const SEEN = 'others see it'

const NODE = { library: 'good-job-node' } as const
const BY_DEFAULT = { ...NODE, connections: 1, deferStart: 0 } as const
const FLOOR = { library: 'floor' } as const
const RUBY = { library: 'good-job', threads: 5 } as const
const GRAPHILE = { library: 'graphile-worker' } as const

const OURS: readonly Line[] = [
  { label: 'good-job-node, 10 threads', series: { ...BY_DEFAULT, threads: 10 }, keeps: FULL, lock: SEEN },
  { label: 'good-job-node, 100 threads', series: { ...BY_DEFAULT, threads: 100 }, keeps: FULL, lock: SEEN },
  { label: 'good-job-node, best setting', series: NODE, isBest: true, keeps: FULL, lock: SEEN },
]

const THEIRS: readonly Line[] = [
  {
    label: 'bare SQL, the same rows written the same way',
    series: { ...FLOOR, variant: 'classic' },
    isBest: true,
    keeps: FULL,
    lock: SEEN,
  },
  {
    label: 'bare SQL, start and end written together',
    series: { ...FLOOR, variant: 'deferred' },
    isBest: true,
    keeps: FULL,
    lock: SEEN,
  },
  { label: 'GoodJob in Ruby, 5 threads, best lock strategy', series: RUBY, isBest: true, keeps: FULL, lock: SEEN },
  {
    label: 'graphile-worker, 10 concurrent',
    series: { ...GRAPHILE, variant: 'classic', threads: 10 },
    keeps: 'nothing',
    lock: 'a column',
  },
  {
    label: 'graphile-worker, batching',
    series: { ...GRAPHILE, variant: 'batching' },
    isBest: true,
    keeps: 'nothing',
    lock: 'a column',
  },
  {
    label: 'pg-boss, batches of 100',
    series: { library: 'pg-boss', variant: 'batching', batch: 100 },
    keeps: 'job',
    lock: 'a column',
  },
]

const DRAINS = ['drain', 'drain-lanes']

const measured = (figures: readonly Figure[]): { line: Line; best: Series }[] =>
  [...OURS, ...THEIRS].flatMap((line) => {
    const [best] = seriesOf(figures, [DRAINS, line.series]).sort((a, b) => median(b.values) - median(a.values))
    return best === undefined ? [] : [{ line, best }]
  })

/** The table that sums it up. */
export const summaryTable = (figures: readonly Figure[]): string => {
  const rows = measured(figures).map(({ line, best }) => {
    const setting = line.isBest ? ` (${best.name.replace(/^[^,]*, /, '')})` : ''
    return [`${line.label}${setting}`, shown(median(best.values)), line.keeps, line.lock]
  })
  return table(['one process, no-op jobs', 'jobs/s', 'kept when it ended', 'lock'], rows)
}

/** The README's picture. */
export const drawSummary = (figures: readonly Figure[]): string =>
  drawFigure({
    id: 'summary',
    title: 'No-op jobs, one process',
    unit: 'jobs/s',
    scale: 1,
    series: measured(figures).map(({ line, best }) => ({ ...best, name: line.label, family: line.keeps })),
  })
