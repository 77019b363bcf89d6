import { setTimeout as sleep } from 'node:timers/promises'
import { RailsApp } from '../../compat/rails-app.ts'
import { Child } from '../child.ts'
import {
  type Contender,
  floor,
  goodJobNode,
  goodJobNodeDeferring,
  goodJobRuby,
  graphileBatching,
  graphileDefault,
  pgBossNotify,
} from '../contenders.ts'
import { bootWorker } from '../drain.ts'
import { type Figure, percentile } from '../figure.ts'
import { Collector, type RunOptions, type Suite } from '../run.ts'
import type { BenchDatabase } from '../server.ts'

const JOBS = 200
/** Longer than a job is under way, so that each meets an idle worker. */
const PAUSE_MS = 20
/** Until connections are warm and LISTEN stands. */
const SETTLE_MS = 1_500

/** Work that takes half of ten threads: 10 jobs of 10 ms each 20 ms. */
const LOAD = { kind: 'steadily', size: 10, everyMs: 20 } as const
const LOAD_JOB_MS = 10

const idle = (): Contender[] => [
  goodJobNode(10),
  ...goodJobNodeDeferring([10]),
  floor(1, 1),
  graphileDefault(10),
  graphileBatching(),
  pgBossNotify(),
  goodJobRuby('advisory'),
]

const halfLoaded = (): Contender[] => [
  goodJobNode(10),
  goodJobNode(100),
  graphileDefault(10),
  pgBossNotify({ localConcurrency: 10 }),
]

interface LatencyScene {
  /** Half of ten threads are busy. @default false */
  readonly isLoaded?: boolean
  /** The tables at the beginning. @default empty ones */
  readonly open?: () => Promise<BenchDatabase>
}

/** Milliseconds from the call that enqueues a job to the start of the job, for each of many. */
export const delaysOf = async (
  { server, scale }: RunOptions,
  contender: Contender,
  { isLoaded = false, open }: LatencyScene,
): Promise<readonly number[]> => {
  const { module, tables } = contender
  // The jobs that are enqueued have no rule.
  const { rule: _rule, ...options } = contender.options
  const database = await (open?.() ?? server.database(`${tables.name} 0`, tables.waiting(0)))
  const jobMs = isLoaded ? LOAD_JOB_MS : 0
  const worker = await bootWorker(contender, database.url, jobMs)
  await worker.start()
  try {
    const count = Math.max(50, Math.round(JOBS * scale))
    if (module === undefined) return await rubyDelays(database, count)
    const spec = { module, databaseUrl: database.url, jobMs: 0, options }
    const load = isLoaded ? await Child.boot(spec) : undefined
    await load?.enqueue(LOAD)
    const sender = await Child.boot(spec)
    // The first job of a worker does not count: each contender loads, connects and starts parts for it.
    await sender.enqueue({ kind: 'oneByOne', count: 1, pauseMs: 0, isTimed: false })
    await sleep(SETTLE_MS)
    await sender.enqueue({ kind: 'oneByOne', count, pauseMs: PAUSE_MS, isTimed: true })
    await sender.stop()
    await load?.stop()
    await sleep(500)
    return await worker.stop()
  } finally {
    worker.kill()
    await database.drop()
  }
}

/** From its rows, created_at to performed_at: slightly less than from the call to `perform`, as measured for the others. */
const rubyDelays = async (database: BenchDatabase, count: number): Promise<number[]> => {
  const app = await RailsApp.boot({ databaseUrl: database.url, schema: 'given' })
  await app.run(
    `ActiveJob::Base.logger.level = :warn
     NoopJob.perform_later
     sleep(1)
     args[:count].times { NoopJob.perform_later; sleep(0.03) }
     nil`,
    { count },
  )
  await sleep(SETTLE_MS)
  const { rows } = await app.pool.query<{ ms: number }>(
    `SELECT extract(epoch FROM performed_at - created_at)::float8 * 1000 AS ms
     FROM good_jobs WHERE performed_at IS NOT NULL ORDER BY created_at OFFSET 1`,
  )
  await app.stop()
  return rows.map(({ ms }) => ms)
}

const measure = async (
  options: RunOptions,
  contenders: readonly Contender[],
  isLoaded: boolean,
): Promise<Figure['series']> => {
  const collector = new Collector(options.say)
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const contender of contenders.filter(({ name }) => options.contenders.test(name))) {
      const delays = await delaysOf(options, contender, { isLoaded })
      for (const [word, share] of [
        ['p50', 0.5],
        ['p99', 0.99],
      ] as const) {
        const key = { ...contender.key, percentile: word }
        const named = { name: `${contender.name}, ${word}`, key, family: word, x: 0 }
        collector.add(named, round, { value: percentile(delays, share), size: delays.length })
      }
    }
  }
  return collector.series
}

export const latencySuite: Suite = {
  name: 'latency',
  run: async (options) => [
    {
      id: 'latency-idle',
      title: 'From the call that enqueues to the start of the job, idle worker',
      unit: 'ms',
      series: await measure(options, idle(), false),
    },
    {
      id: 'latency-loaded',
      title: 'The same while half of ten threads are busy with jobs of 10 ms',
      unit: 'ms',
      series: await measure(options, halfLoaded(), true),
    },
  ],
}
