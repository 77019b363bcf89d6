import {
  type Contender,
  floor,
  goodJobNode,
  goodJobNodeDeferring,
  goodJobRuby,
  graphileBatching,
  graphileDefault,
  pgBoss,
  pgBossLoops,
} from '../contenders.ts'
import { drain } from '../drain.ts'
import { alternate, type RunOptions, type Suite } from '../run.ts'

const JOBS = 20_000
/** For fast contenders: start and compiler warm-up take as long as 5,000 to 7,000 jobs, and should not count. */
const MANY_JOBS = 80_000
const THREADS = [1, 5, 10, 100, 500]
const BATCHES = [1, 10, 100, 500]

const measure =
  ({ server, scale }: RunOptions) =>
  async (contender: Contender) => {
    const { share = 1 } = contender
    const jobs = Math.max(100, Math.round((share < 1 ? JOBS * share : MANY_JOBS) * scale))
    const { seconds, cpuSeconds, peakRssMb } = await drain(server, contender, { jobs })
    const note = `${jobs} jobs, ${((cpuSeconds / jobs) * 1e6).toFixed(0)} µs CPU each, ${peakRssMb.toFixed(0)} MB`
    return { value: jobs / seconds, size: jobs, note }
  }

const drainSuiteOf = (name: string, title: string, contenders: () => Contender[]): Suite => ({
  name,
  run: async (options) => {
    const series = await alternate(options, contenders(), measure(options))
    return [{ id: name, title, unit: 'jobs/s', xTitle: 'threads, or jobs of a batch', series }]
  },
})

export const drainSuites: readonly Suite[] = [
  drainSuiteOf('drain', 'No-op jobs, one process', () => [
    ...THREADS.map((threads) => goodJobNode(threads)),
    ...goodJobNodeDeferring([10, 100, 500]),
    ...BATCHES.map((batch) => floor(batch, 1)),
    ...BATCHES.map((batch) => floor(batch, 1, { isDeferred: true })),
    goodJobRuby('advisory'),
    goodJobRuby('skiplocked'),
    goodJobRuby('hybrid'),
    graphileDefault(10),
    graphileBatching(),
    pgBossLoops(10),
    pgBoss(100),
    pgBoss(500),
  ]),
  drainSuiteOf('drain-lanes', 'No-op jobs, one process, two sessions that claim', () => [
    ...[10, 100, 500, 1000].map((threads) => goodJobNode(threads, { lanes: 2 })),
    ...goodJobNodeDeferring([100, 500, 1000], { lanes: 2 }),
    ...BATCHES.map((batch) => floor(batch, 2)),
    ...BATCHES.map((batch) => floor(batch, 2, { isDeferred: true })),
  ]),
  drainSuiteOf('drain-deleting', 'No-op jobs, rows deleted when they end', () => [
    ...[10, 100, 500].map((threads) => goodJobNode(threads, { preserveJobRecords: false })),
    goodJobNode(500, { preserveJobRecords: false, lanes: 2 }),
    ...goodJobNodeDeferring([100, 500], { preserveJobRecords: false }),
    ...goodJobNodeDeferring([500, 1000], { preserveJobRecords: false, lanes: 2 }),
    ...[10, 100, 500].map((batch) => floor(batch, 1, { isDeleting: true })),
    floor(500, 2, { isDeleting: true }),
    ...[100, 500].map((batch) => floor(batch, 1, { isDeleting: true, isDeferred: true })),
    floor(500, 2, { isDeleting: true, isDeferred: true }),
    graphileBatching(),
  ]),
]
