import { RailsApp } from '../../compat/rails-app.ts'
import { Child } from '../child.ts'
import { type Contender, floor, goodJobNode, goodJobRuby, graphileDefault, pgBoss } from '../contenders.ts'
import { alternate, type Measured, type RunOptions, type Suite } from '../run.ts'
import { goodJobsWaiting } from '../seed.ts'
import type { EnqueueOrder } from '../workers/spec.ts'

const BULK = 1_000
/** Of 5,000 single jobs two fifths were enqueued while the engine still interpreted what it later compiles. */
const ONE_BY_ONE = 20_000

/** Everybody who can enqueue, under the name that the tables show. */
const contenders = (): Contender[] => [
  { ...goodJobNode(5), name: 'good-job-node', share: 1 },
  { ...floor(1, 1), name: 'floor: raw insert with its NOTIFY', family: 'floor', share: 1 },
  { ...goodJobRuby('advisory'), name: 'GoodJob (Ruby)', share: 0.2 },
  { ...graphileDefault(10), name: 'graphile-worker', share: 1 },
  { ...pgBoss(100), name: 'pg-boss' },
]

/** One process and one connection that enqueues. */
const inNode = async ({ server }: RunOptions, contender: Contender, order: EnqueueOrder): Promise<number> => {
  const { module = '', options, tables } = contender
  const database = await server.database(`${tables.name} 0`, tables.waiting(0))
  const child = await Child.boot({ module, databaseUrl: database.url, jobMs: 0, options })
  const ms = await child.enqueue(order)
  await child.stop()
  await database.drop()
  return ms
}

const RUBY = {
  oneByOne: 'args[:count].times { NoopJob.perform_later }',
  bulk: '(args[:count] / args[:size]).times { GoodJob::Bulk.enqueue(Array.new(args[:size]) { NoopJob.new }) }',
}

/** Ruby measures its own loop; booting Rails does not count. */
const inRuby = async ({ server }: RunOptions, order: Exclude<EnqueueOrder, { kind: 'steadily' }>): Promise<number> => {
  const database = await server.database('good_job 0', goodJobsWaiting())
  const app = await RailsApp.boot({ databaseUrl: database.url, schema: 'given' })
  const ms = await app.run<number>(
    `ActiveJob::Base.logger.level = :warn
     NoopJob.perform_later
     started_at = Process.clock_gettime(Process::CLOCK_MONOTONIC)
     ${RUBY[order.kind]}
     (Process.clock_gettime(Process::CLOCK_MONOTONIC) - started_at) * 1000`,
    { ...order },
  )
  await app.stop()
  await database.drop()
  return ms
}

const measure =
  (options: RunOptions, jobs: number, orderOf: (count: number) => Exclude<EnqueueOrder, { kind: 'steadily' }>) =>
  async (contender: Contender): Promise<Measured> => {
    const count = Math.max(BULK, Math.round((jobs * options.scale * (contender.share ?? 1)) / BULK) * BULK)
    const order = orderOf(count)
    const ms = await (contender.module === undefined ? inRuby(options, order) : inNode(options, contender, order))
    return { value: (count / ms) * 1000, size: count }
  }

export const enqueueSuite: Suite = {
  name: 'enqueue',
  run: async (options) => {
    const oneByOne = measure(options, ONE_BY_ONE, (count) => ({ kind: 'oneByOne', count, pauseMs: 0, isTimed: false }))
    const bulk = measure(options, 100_000, (count) => ({ kind: 'bulk', count, size: BULK }))
    return [
      {
        id: 'enqueue-one',
        title: 'Enqueueing one by one, one connection',
        unit: 'jobs/s',
        series: await alternate(options, contenders(), oneByOne),
      },
      {
        id: 'enqueue-bulk',
        title: `Enqueueing ${BULK} with one call, one connection`,
        unit: 'jobs/s',
        series: await alternate(options, contenders(), bulk),
      },
    ]
  },
}
