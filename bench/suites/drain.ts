import { floor, goodJobNode } from '../contenders.ts'
import { drain } from '../drain.ts'
import { alternate, type RunOptions, type Suite } from '../run.ts'

const JOBS = 40_000

const measure =
  ({ server, scale }: RunOptions) =>
  async (contender: Parameters<typeof drain>[1]) => {
    const jobs = Math.max(100, Math.round(JOBS * scale * (contender.share ?? 1)))
    const drained = await drain(server, contender, { jobs })
    const note = `${jobs} jobs, ${((drained.cpuSeconds / jobs) * 1e6).toFixed(0)} µs CPU each, ${drained.peakRssMb.toFixed(0)} MB`
    return { value: jobs / drained.seconds, size: jobs, note }
  }

const THREADS = [1, 5, 10, 100, 500]
const BATCHES = [1, 10, 100, 500]

/** No-op jobs with full history, one process. */
export const drainSuite: Suite = {
  name: 'drain',
  run: async (options) => {
    const contenders = [
      ...THREADS.map((threads) => goodJobNode(threads)),
      ...BATCHES.map((batch) => floor(batch, 1)),
      ...BATCHES.map((batch) => floor(batch, 1, { isDeferred: true })),
    ]
    const series = await alternate(options, contenders, measure(options))
    return [
      {
        suite: 'drain',
        title: 'No-op jobs, one process',
        unit: 'jobs/s',
        xTitle: 'threads, or jobs of a batch',
        series,
      },
    ]
  },
}

/** The same with two sessions that claim. */
export const drainLanesSuite: Suite = {
  name: 'drain-lanes',
  run: async (options) => {
    const contenders = [
      ...[10, 100, 500, 1000].map((threads) => goodJobNode(threads, { lanes: 2 })),
      ...BATCHES.map((batch) => floor(batch, 2)),
      ...BATCHES.map((batch) => floor(batch, 2, { isDeferred: true })),
    ]
    const series = await alternate(options, contenders, measure(options))
    return [
      {
        suite: 'drain-lanes',
        title: 'No-op jobs, one process, two sessions that claim',
        unit: 'jobs/s',
        xTitle: 'threads, or jobs of a batch',
        series,
      },
    ]
  },
}

/** Finished jobs are deleted. */
export const drainDeletingSuite: Suite = {
  name: 'drain-deleting',
  run: async (options) => {
    const contenders = [
      ...[10, 100, 500].map((threads) => goodJobNode(threads, { preserveJobRecords: false })),
      goodJobNode(500, { preserveJobRecords: false, lanes: 2 }),
      ...[10, 100, 500].map((batch) => floor(batch, 1, { isDeleting: true })),
      floor(500, 2, { isDeleting: true }),
      ...[100, 500].map((batch) => floor(batch, 1, { isDeleting: true, isDeferred: true })),
      floor(500, 2, { isDeleting: true, isDeferred: true }),
    ]
    const series = await alternate(options, contenders, measure(options))
    return [
      {
        suite: 'drain-deleting',
        title: 'No-op jobs, rows deleted when they end',
        unit: 'jobs/s',
        xTitle: 'threads, or jobs of a batch',
        series,
      },
    ]
  },
}
