import { type Figure, median } from '../figure.ts'
import { table } from './document.ts'

/** Two measured figures and the ratio that is wanted of them. */
interface Goal {
  readonly name: string
  /** Figure id and names of series; the best of several counts. */
  readonly ours: readonly [figure: string, series: RegExp]
  readonly theirs: readonly [figure: string, series: RegExp]
  readonly theirName: string
  readonly atLeast: number
}

const NODE = /^good-job-node/

const GOALS: readonly Goal[] = [
  {
    name: 'drain, 100 threads, 1 lane',
    ours: ['drain', /^good-job-node, 100 threads$/],
    theirs: ['drain', /^floor classic, 1 connection, batches of 100$/],
    theirName: 'classic floor, 100 × 1',
    atLeast: 0.8,
  },
  {
    name: 'drain, 100 threads, 1 lane',
    ours: ['drain', /^good-job-node, 100 threads(, deferStart \d+)?$/],
    theirs: ['drain', /^floor deferred, 1 connection, batches of 100$/],
    theirName: 'deferred floor, 100 × 1',
    atLeast: 0.8,
  },
  {
    name: 'drain, best setting with history',
    ours: ['drain*', NODE],
    theirs: ['drain', /^pg-boss, batches of 100$/],
    theirName: 'pg-boss, batches of 100',
    atLeast: 1,
  },
  {
    name: 'drain, best setting with history',
    ours: ['drain*', NODE],
    theirs: ['drain*', /^floor classic/],
    theirName: 'best classic floor',
    atLeast: 0.8,
  },
  {
    name: 'drain, best setting with history',
    ours: ['drain*', NODE],
    theirs: ['drain', /^GoodJob \(Ruby\)/],
    theirName: 'GoodJob, 5 threads, its best',
    atLeast: 50,
  },
  {
    name: 'drain, 10 threads, history on',
    ours: ['drain', /^good-job-node, 10 threads/],
    theirs: ['drain', /^graphile-worker, 10 concurrent$/],
    theirName: 'graphile-worker, 10 concurrent',
    atLeast: 1,
  },
  {
    name: 'drain, rows deleted, best setting',
    ours: ['drain-deleting', NODE],
    theirs: ['drain-deleting', /^floor classic/],
    theirName: 'best classic floor with delete',
    atLeast: 0.8,
  },
]

/** How far the worker is from what was wanted of it. */
export const goalTable = (figures: readonly Figure[]): string => {
  const rows = GOALS.flatMap((goal) => {
    const [ours, theirs] = [best(figures, goal.ours), best(figures, goal.theirs)]
    if (ours === undefined || theirs === undefined) return []
    const ratio = ours / theirs
    const verdict = ratio >= goal.atLeast ? 'reached' : `missed: ${Math.round((ratio / goal.atLeast) * 100)} % of it`
    return [[`${goal.name}, against ${goal.theirName}`, ratio.toFixed(2), `≥ ${goal.atLeast}`, verdict]]
  })
  return table(['', 'ratio', 'goal', ''], rows)
}

/** The highest median of the series that are meant. */
const best = (figures: readonly Figure[], [id, series]: Goal['ours']): number | undefined => {
  const isMeant = (figure: Figure) =>
    id.endsWith('*') ? figure.id === 'drain' || figure.id === 'drain-lanes' : figure.id === id
  const medians = figures
    .filter(isMeant)
    .flatMap((figure) => figure.series)
    .filter(({ name }) => series.test(name))
    .map(({ values }) => median(values))
  return medians.length === 0 ? undefined : Math.max(...medians)
}
