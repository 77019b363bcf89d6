import { type Figure, median } from '../figure.ts'
import { shown } from '../run.ts'
import { table } from './document.ts'

/** Series of figures, by id and name; the best of them counts. */
type Source = readonly [figures: readonly string[], series: RegExp]

/** What is wanted of a measured figure: a ratio to another one of the same run, or a limit. */
interface Goal {
  readonly name: string
  readonly ours: Source
  readonly against: string
  readonly theirs: Source | number
  /** Ratio; with `isLess` theirs ÷ ours. */
  readonly atLeast: number
  /** Less is better. */
  readonly isLess?: boolean
  /** Each of our series has to reach it: the worst one counts. */
  readonly isEach?: boolean
}

const NODE = /^good-job-node/
const DRAINS = ['drain', 'drain-lanes']
const FOREIGN_CLASSES = 'behind foreign classes in the same queue'
const MILLION = /, 1,000,000 wait$/

const both = (first: RegExp, second: RegExp): RegExp => new RegExp(`(?=${first.source}).*${second.source}`)

const drain: readonly Goal[] = [
  {
    name: 'drain, 100 threads, 1 lane',
    ours: [['drain'], /^good-job-node, 100 threads$/],
    against: 'classic floor, 100 × 1',
    theirs: [['drain'], /^floor classic, 1 connection, batches of 100$/],
    atLeast: 0.8,
  },
  {
    name: 'drain, 100 threads, 1 lane, deferStart',
    ours: [['drain'], /^good-job-node, 100 threads, deferStart/],
    against: 'deferred floor, 100 × 1',
    theirs: [['drain'], /^floor deferred, 1 connection, batches of 100$/],
    atLeast: 0.8,
  },
  {
    name: 'drain, best setting',
    ours: [DRAINS, NODE],
    against: 'pg-boss, batches of 100',
    theirs: [['drain'], /^pg-boss, batches of 100$/],
    atLeast: 1,
  },
  {
    name: 'drain, best setting',
    ours: [DRAINS, NODE],
    against: 'best classic floor',
    theirs: [DRAINS, /^floor classic/],
    atLeast: 0.8,
  },
  {
    name: 'drain, best setting',
    ours: [DRAINS, NODE],
    against: 'best deferred floor',
    theirs: [DRAINS, /^floor deferred/],
    atLeast: 0.8,
  },
  {
    name: 'drain, best setting without deferStart',
    ours: [DRAINS, /^good-job-node(?!.*deferStart)/],
    against: 'GoodJob, 5 threads, its best',
    theirs: [['drain'], /^GoodJob/],
    atLeast: 50,
  },
  {
    name: 'drain, best setting',
    ours: [DRAINS, NODE],
    against: 'GoodJob, 5 threads, its best',
    theirs: [['drain'], /^GoodJob/],
    atLeast: 80,
  },
  {
    name: 'drain, 10 threads',
    ours: [['drain'], /^good-job-node, 10 threads$/],
    against: 'graphile-worker, 10 concurrent',
    theirs: [['drain'], /^graphile-worker, 10/],
    atLeast: 1,
  },
  {
    name: 'drain, rows deleted, best setting',
    ours: [['drain-deleting'], NODE],
    against: 'best classic floor that deletes',
    theirs: [['drain-deleting'], /^floor classic/],
    atLeast: 0.8,
  },
  {
    name: 'drain, rows deleted, best setting',
    ours: [['drain-deleting'], NODE],
    against: 'best deferred floor that deletes',
    theirs: [['drain-deleting'], /^floor deferred/],
    atLeast: 0.8,
  },
]

const enqueueAndStart: readonly Goal[] = [
  {
    name: 'enqueue one by one',
    ours: [['enqueue-one'], NODE],
    against: 'raw insert',
    theirs: [['enqueue-one'], /^floor/],
    atLeast: 0.85,
  },
  {
    name: 'enqueue 1,000 at once',
    ours: [['enqueue-bulk'], NODE],
    against: 'raw insert',
    theirs: [['enqueue-bulk'], /^floor/],
    atLeast: 0.8,
  },
  ...['p50', 'p99'].map(
    (word): Goal => ({
      name: `enqueue to start, idle, ${word}`,
      ours: [['latency-idle'], new RegExp(`^good-job-node, 10 threads, ${word}$`)],
      against: 'graphile-worker',
      theirs: [['latency-idle'], new RegExp(`^graphile-worker, 10.*${word}$`)],
      atLeast: 1,
      isLess: true,
    }),
  ),
]

const largeTables: readonly Goal[] = [
  {
    name: 'a million wait, 100 threads',
    ours: [['backlog'], both(/^good-job-node, 100 threads/, MILLION)],
    against: 'classic floor at the same depth',
    theirs: [['backlog'], both(/^floor classic/, MILLION)],
    atLeast: 0.8,
  },
  ...['behind another queue', FOREIGN_CLASSES, `${FOREIGN_CLASSES}, with the index that doctor proposes`].map(
    (place): Goal => ({
      name: `100 threads of one queue, ${place}`,
      ours: [['foreign'], new RegExp(`^good-job-node.*queues bench.*${place}$`)],
      against: 'alone',
      theirs: [['foreign'], /^good-job-node.*queues bench.*alone$/],
      atLeast: 0.8,
    }),
  ),
  ...[10, 100].map(
    (threads): Goal => ({
      name: `jobs done since the last vacuum, ${threads} threads`,
      ours: [['vacuum'], new RegExp(`^good-job-node, ${threads} .*not vacuumed$`)],
      against: 'vacuumed',
      theirs: [['vacuum'], new RegExp(`^good-job-node, ${threads} threads, vacuumed$`)],
      atLeast: 0.8,
    }),
  ),
  ...['jobs of this package', 'jobs of Rails'].map(
    (origin): Goal => ({
      name: `finished rows beside, 100 threads, ${origin}`,
      ours: [['finished'], new RegExp(`^good-job-node.*, ${origin}, [1-9][\\d,]* finished`)],
      against: 'none',
      theirs: [['finished'], new RegExp(`^good-job-node.*, ${origin}, 0 finished`)],
      atLeast: 0.9,
    }),
  ),
]

const batches: readonly Goal[] = [
  {
    name: '100,000 members of one batch',
    ours: [['batch'], /of one batch$/],
    against: 'plain jobs',
    theirs: [['batch'], /^plain/],
    atLeast: 0.8,
  },
  {
    name: '10,000 batches of ten',
    ours: [['batch'], /of batches of ten$/],
    against: 'plain jobs',
    theirs: [['batch'], /^plain/],
    atLeast: 0.6,
  },
  {
    name: 'sweep of 100,000 batches, % of one core',
    ours: [['sweep'], /a tenth/],
    against: 'limit',
    theirs: 1,
    atLeast: 1,
    isLess: true,
  },
]

const idle: readonly Goal[] = [
  {
    name: 'idle, transactions a second',
    ours: [['idle-transactions'], NODE],
    against: 'limit',
    theirs: 0.3,
    atLeast: 1,
    isLess: true,
  },
  {
    name: 'idle, CPU seconds in 30 s',
    ours: [['idle-cpu'], NODE],
    against: 'limit',
    theirs: 0.05,
    atLeast: 1,
    isLess: true,
  },
  { name: 'idle, MB', ours: [['idle-memory'], NODE], against: 'limit', theirs: 80, atLeast: 1, isLess: true },
]

/** Flat: from the first twentieth of a million jobs on. */
const memory: readonly Goal[] = ['100 threads', '500 threads, deferStart 10'].map((setting) => ({
  name: `a million jobs done, ${setting}, MB`,
  ours: [['memory'], new RegExp(`, ${setting}, after 1,000,000 jobs$`)],
  against: 'after 50,000',
  theirs: [['memory'], new RegExp(`, ${setting}, after 50,000 jobs$`)],
  atLeast: 0.9,
  isLess: true,
}))

/** Node's own start is a part of it: `--version` asks Postgres nothing. */
const commands: readonly Goal[] = [
  {
    name: 'the slowest command beside five million jobs, seconds',
    ours: [['commands'], /^good-job /],
    against: 'limit',
    theirs: 0.5,
    atLeast: 1,
    isLess: true,
    isEach: true,
  },
]

/** How far the worker is from what was wanted of it. */
export const goalTable = (figures: readonly Figure[]): string => {
  const rows = [...drain, ...enqueueAndStart, ...largeTables, ...batches, ...idle, ...memory, ...commands].flatMap(
    (goal) => {
      const { name, against, atLeast, isLess = false, isEach = false } = goal
      const ours = best(figures, goal.ours, isLess !== isEach)
      const theirs = typeof goal.theirs === 'number' ? goal.theirs : best(figures, goal.theirs, isLess)
      if (ours === undefined || theirs === undefined) return []
      const ratio = isLess ? theirs / ours : ours / theirs
      const verdict = ratio >= atLeast ? 'reached' : `missed: ${Math.floor((ratio / atLeast) * 100)} % of it`
      return [[name, shown(ours), `${against}: ${shown(theirs)}`, ratio.toFixed(2), `≥ ${atLeast}`, verdict]]
    },
  )
  return table(['', 'measured', 'against', 'ratio', 'goal', ''], rows)
}

const best = (figures: readonly Figure[], [ids, series]: Source, isLess: boolean): number | undefined => {
  const medians = figures
    .filter(({ id }) => ids.includes(id))
    .flatMap((figure) => figure.series)
    .filter(({ name }) => series.test(name))
    .map(({ values }) => median(values))
  if (medians.length === 0) return undefined
  return isLess ? Math.min(...medians) : Math.max(...medians)
}
