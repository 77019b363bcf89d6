import { type Figure, matches, median, type Series, type SeriesKey } from '../figure.ts'
import { shown } from '../run.ts'
import { table } from './document.ts'
import { limitGoals } from './limit-goals.ts'

/** Series of figures, by the figure's id and parts of their keys; the best of them counts. */
type Source = readonly [figures: readonly string[], series: SeriesKey]

/** The goal for a measured figure: a ratio to another one of the same run, or a limit. */
export interface Goal {
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

const NODE = { library: 'good-job-node' } as const
const CLASSIC = { library: 'floor', variant: 'classic' } as const
const DEFERRED = { library: 'floor', variant: 'deferred' } as const
const BATCHES_OF_100 = { connections: 1, batch: 100 } as const
const PG_BOSS = { library: 'pg-boss', variant: 'batching', batch: 100 } as const
const GRAPHILE = { library: 'graphile-worker', variant: 'classic', threads: 10 } as const
const RUBY = { library: 'good-job' } as const
const DRAINS = ['drain', 'drain-lanes']
const FOREIGN_CLASSES = 'behind foreign classes in the same queue'
const MILLION = { waiting: 1_000_000 } as const

const drain: readonly Goal[] = [
  {
    name: 'drain, 100 threads, 1 lane',
    ours: [['drain'], { ...NODE, threads: 100, deferStart: 0 }],
    against: 'classic floor, 100 × 1',
    theirs: [['drain'], { ...CLASSIC, ...BATCHES_OF_100 }],
    atLeast: 0.8,
  },
  {
    name: 'drain, 100 threads, 1 lane, deferStart',
    ours: [['drain'], { ...NODE, threads: 100, deferStart: 10 }],
    against: 'deferred floor, 100 × 1',
    theirs: [['drain'], { ...DEFERRED, ...BATCHES_OF_100 }],
    atLeast: 0.8,
  },
  {
    name: 'drain, best setting',
    ours: [DRAINS, NODE],
    against: 'pg-boss, batches of 100',
    theirs: [['drain'], PG_BOSS],
    atLeast: 1,
  },
  {
    name: 'drain, best setting',
    ours: [DRAINS, NODE],
    against: 'best classic floor',
    theirs: [DRAINS, CLASSIC],
    atLeast: 0.8,
  },
  {
    name: 'drain, best setting',
    ours: [DRAINS, NODE],
    against: 'best deferred floor',
    theirs: [DRAINS, DEFERRED],
    atLeast: 0.8,
  },
  {
    name: 'drain, best setting without deferStart',
    ours: [DRAINS, { ...NODE, deferStart: 0 }],
    against: 'GoodJob, 5 threads, its best',
    theirs: [['drain'], RUBY],
    atLeast: 50,
  },
  {
    name: 'drain, best setting',
    ours: [DRAINS, NODE],
    against: 'GoodJob, 5 threads, its best',
    theirs: [['drain'], RUBY],
    atLeast: 80,
  },
  {
    name: 'drain, 10 threads',
    ours: [['drain'], { ...NODE, threads: 10, deferStart: 0 }],
    against: 'graphile-worker, 10 concurrent',
    theirs: [['drain'], GRAPHILE],
    atLeast: 1,
  },
  {
    name: 'drain, rows deleted, best setting',
    ours: [['drain-deleting'], NODE],
    against: 'best classic floor that deletes',
    theirs: [['drain-deleting'], CLASSIC],
    atLeast: 0.8,
  },
  {
    name: 'drain, rows deleted, best setting',
    ours: [['drain-deleting'], NODE],
    against: 'best deferred floor that deletes',
    theirs: [['drain-deleting'], DEFERRED],
    atLeast: 0.8,
  },
]

const enqueueAndStart: readonly Goal[] = [
  {
    name: 'enqueue one by one',
    ours: [['enqueue-one'], NODE],
    against: 'raw insert',
    theirs: [['enqueue-one'], { library: 'floor' }],
    atLeast: 0.85,
  },
  {
    name: 'enqueue 1,000 at once',
    ours: [['enqueue-bulk'], NODE],
    against: 'raw insert',
    theirs: [['enqueue-bulk'], { library: 'floor' }],
    atLeast: 0.8,
  },
  ...(['p50', 'p99'] as const).map(
    (percentile): Goal => ({
      name: `enqueue to start, idle, ${percentile}`,
      ours: [['latency-idle'], { ...NODE, threads: 10, deferStart: 0, percentile }],
      against: 'graphile-worker',
      theirs: [['latency-idle'], { ...GRAPHILE, percentile }],
      atLeast: 1,
      isLess: true,
    }),
  ),
]

const largeTables: readonly Goal[] = [
  {
    name: 'a million wait, 100 threads',
    ours: [['backlog'], { ...NODE, threads: 100, ...MILLION }],
    against: 'classic floor at the same depth',
    theirs: [['backlog'], { ...CLASSIC, ...MILLION }],
    atLeast: 0.8,
  },
  ...[
    { place: 'another queue', text: 'behind another queue' },
    { place: 'foreign classes', text: FOREIGN_CLASSES },
    { place: 'foreign classes, class index', text: `${FOREIGN_CLASSES}, with the index that doctor proposes` },
  ].map(
    ({ place, text }): Goal => ({
      name: `100 threads of one queue, ${text}`,
      ours: [['foreign'], { ...NODE, queues: 'bench', place }],
      against: 'alone',
      theirs: [['foreign'], { ...NODE, queues: 'bench', place: 'alone' }],
      atLeast: 0.8,
    }),
  ),
  ...[10, 100].map(
    (threads): Goal => ({
      name: `jobs done since the last vacuum, ${threads} threads`,
      ours: [['vacuum'], { ...NODE, threads, place: 'not vacuumed' }],
      against: 'vacuumed',
      theirs: [['vacuum'], { ...NODE, threads, place: 'vacuumed' }],
      atLeast: 0.8,
    }),
  ),
  ...[
    { origin: 'node', text: 'jobs of this package' } as const,
    { origin: 'rails', text: 'jobs of Rails' } as const,
  ].map(
    ({ origin, text }): Goal => ({
      name: `finished rows beside, 100 threads, ${text}`,
      ours: [['finished'], { ...NODE, origin, place: 'finished rows' }],
      against: 'none',
      theirs: [['finished'], { ...NODE, origin, place: 'alone' }],
      atLeast: 0.9,
    }),
  ),
]

const batches: readonly Goal[] = [
  {
    name: '100,000 members of one batch',
    ours: [['batch'], { action: 'one batch' }],
    against: 'plain jobs',
    theirs: [['batch'], { action: 'plain' }],
    atLeast: 0.8,
  },
  {
    name: '10,000 batches of ten',
    ours: [['batch'], { action: 'batches of ten' }],
    against: 'plain jobs',
    theirs: [['batch'], { action: 'plain' }],
    atLeast: 0.6,
  },
  {
    name: 'sweep of 100,000 batches, % of one core',
    ours: [['sweep'], { place: 'a tenth ended' }],
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
const memory: readonly Goal[] = [
  { text: '100 threads', key: { ...NODE, threads: 100, deferStart: 0 } },
  { text: '500 threads, deferStart 10', key: { ...NODE, threads: 500, deferStart: 10 } },
].map(({ text, key }) => ({
  name: `a million jobs done, ${text}, MB`,
  ours: [['memory'], { ...key, done: 1_000_000 }],
  against: 'after 50,000',
  theirs: [['memory'], { ...key, done: 50_000 }],
  atLeast: 0.9,
  isLess: true,
}))

/** Node's own start is a part of it: `--version` asks Postgres nothing. */
const commands: readonly Goal[] = [
  {
    name: 'the slowest command beside five million jobs, seconds',
    ours: [['commands'], {}],
    against: 'limit',
    theirs: 0.5,
    atLeast: 1,
    isLess: true,
    isEach: true,
  },
]

export const GOALS: readonly Goal[] = [
  ...drain,
  ...enqueueAndStart,
  ...largeTables,
  ...batches,
  ...idle,
  ...memory,
  ...commands,
  ...limitGoals,
]

/** The distance of the worker from its goals. */
export const goalTable = (figures: readonly Figure[]): string => {
  const rows = GOALS.flatMap((goal) => {
    const { name, against, atLeast, isLess = false, isEach = false } = goal
    const ours = best(figures, goal.ours, isLess !== isEach)
    const theirs = typeof goal.theirs === 'number' ? goal.theirs : best(figures, goal.theirs, isLess)
    if (ours === undefined || theirs === undefined) return []
    const ratio = isLess ? theirs / ours : ours / theirs
    const verdict = ratio >= atLeast ? 'reached' : `missed: ${Math.floor((ratio / atLeast) * 100)} % of it`
    return [[name, shown(ours), `${against}: ${shown(theirs)}`, ratio.toFixed(2), `≥ ${shown(atLeast)}`, verdict]]
  })
  return table(['', 'measured', 'against', 'ratio', 'goal', ''], rows)
}

export const seriesOf = (figures: readonly Figure[], [ids, wanted]: Source): Series[] =>
  figures
    .filter(({ id }) => ids.includes(id))
    .flatMap((figure) => figure.series)
    .filter(({ key }) => matches(key, wanted))

const best = (figures: readonly Figure[], source: Source, isLess: boolean): number | undefined => {
  const medians = seriesOf(figures, source).map(({ values }) => median(values))
  if (medians.length === 0) return undefined
  return isLess ? Math.min(...medians) : Math.max(...medians)
}
