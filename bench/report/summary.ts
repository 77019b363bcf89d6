import { type Figure, median, type Series } from '../figure.ts'
import { shown } from '../run.ts'
import { table } from './document.ts'
import { drawFigure } from './svg.ts'

/** A line of the summary: the fastest series of these that was measured. */
interface Line {
  readonly label: string
  readonly series: RegExp
  /** What is left of a finished job. */
  readonly keeps: string
  readonly lock: string
}

const FULL = 'job and every attempt'
const SEEN = 'others see it'

const LINES: readonly Line[] = [
  { label: 'good-job-node, 10 threads', series: /^good-job-node, 10 threads$/, keeps: FULL, lock: SEEN },
  { label: 'good-job-node, 100 threads', series: /^good-job-node, 100 threads$/, keeps: FULL, lock: SEEN },
  { label: 'good-job-node, best setting', series: /^good-job-node/, keeps: FULL, lock: SEEN },
  { label: 'bare SQL, the same rows written the same way', series: /^floor classic/, keeps: FULL, lock: SEEN },
  { label: 'bare SQL, start and end written together', series: /^floor deferred/, keeps: FULL, lock: SEEN },
  { label: 'GoodJob in Ruby, 5 threads, best lock strategy', series: /^GoodJob/, keeps: FULL, lock: SEEN },
  { label: 'graphile-worker, 10 concurrent', series: /^graphile-worker, 10/, keeps: 'nothing', lock: 'a column' },
  { label: 'graphile-worker, batching', series: /^graphile-worker batching/, keeps: 'nothing', lock: 'a column' },
  { label: 'pg-boss, batches of 100', series: /^pg-boss, batches of 100$/, keeps: 'job', lock: 'a column' },
]

const DRAINS = ['drain', 'drain-lanes']

const measured = (figures: readonly Figure[]): { line: Line; best: Series }[] =>
  LINES.flatMap((line) => {
    const [best] = figures
      .filter(({ id }) => DRAINS.includes(id))
      .flatMap(({ series }) => series)
      .filter(({ name }) => line.series.test(name))
      .sort((a, b) => median(b.values) - median(a.values))
    return best === undefined ? [] : [{ line, best }]
  })

/** The table that sums it up. */
export const summaryTable = (figures: readonly Figure[]): string => {
  const rows = measured(figures).map(({ line, best }) => {
    const setting = best.name.includes(line.label) ? '' : ` (${best.name.replace(/^[^,]*, /, '')})`
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
