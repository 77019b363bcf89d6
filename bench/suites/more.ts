import { type Contender, floor, goodJobNode, graphileBatching, graphileDefault, pgBoss } from '../contenders.ts'
import { drain } from '../drain.ts'
import { alternate, type Suite } from '../run.ts'

const WAIT_MS = 10

/** Each contender with jobs of 10 ms; the goal is the maximum rate of its threads. */
export const waitingSuite: Suite = {
  name: 'waiting',
  run: async (options) => {
    const contenders: Contender[] = [
      ...[5, 10, 100, 500].map((threads) => ({ ...goodJobNode(threads), share: Math.min(1, threads / 100) })),
      { ...graphileDefault(10), share: 0.1 },
      { ...graphileDefault(100), share: 1 },
      { ...graphileBatching(), share: 0.24 },
      pgBoss(100),
    ]
    const series = await alternate(options, contenders, async (contender) => {
      const jobs = Math.max(100, Math.round(20_000 * options.scale * (contender.share ?? 1)))
      const { seconds } = await drain(options.server, contender, { jobs, jobMs: WAIT_MS })
      const atOnce = contender.x
      const used = ((jobs / seconds) * WAIT_MS) / 1000 / atOnce
      return { value: jobs / seconds, size: jobs, note: `${Math.round(used * 100)} % of ${atOnce} busy` }
    })
    return [{ id: 'waiting', title: `Jobs that wait ${WAIT_MS} ms`, unit: 'jobs/s', xTitle: 'jobs at a time', series }]
  },
}

/** The same drain shared by several processes. */
export const processesSuite: Suite = {
  name: 'processes',
  run: async (options) => {
    const scene = (contender: Contender, processes: number) => ({
      contender,
      processes,
      name: `${contender.name}, ${processes} ${processes === 1 ? 'process' : 'processes'}`,
      key: { ...contender.key, processes },
      family: contender.name,
      x: processes,
    })
    const scenes = [1, 2, 4].flatMap((processes) => [
      scene(goodJobNode(10), processes),
      scene(goodJobNode(100), processes),
      scene(floor(100, 1), processes),
      scene(graphileBatching(), processes),
      scene(pgBoss(100), processes),
    ])
    const series = await alternate(options, scenes, async ({ contender, processes }) => {
      const jobs = Math.max(1_000, Math.round(40_000 * options.scale))
      const drained = await drain(options.server, contender, { jobs, processes })
      return { value: jobs / drained.seconds, size: jobs }
    })
    return [{ id: 'processes', title: 'Several processes, no-op jobs', unit: 'jobs/s', xTitle: 'processes', series }]
  },
}
