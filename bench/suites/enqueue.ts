import { RailsApp } from '../../compat/rails-app.ts'
import { Child } from '../child.ts'
import { type Contender, floor, goodJobNode, goodJobRuby, graphileDefault, pgBoss } from '../contenders.ts'
import type { Series } from '../figure.ts'
import { Collector, type RunOptions, type Suite } from '../run.ts'
import { goodJobsWaiting } from '../seed.ts'
import type { EnqueueOrder } from '../workers/spec.ts'

const BULK = 1_000
/** Of 5,000 single jobs two fifths were enqueued while the engine still interpreted what it later compiles. */
const ONE_BY_ONE = 20_000
const IN_BULK = 100_000
/** Turns of each contender in a round: in the quarter of a minute that all of them in one go take, the machine changes. */
const TURNS = 10

type Order = Exclude<EnqueueOrder, { kind: 'steadily' }>

/** One process and one connection that enqueues. */
interface Client {
  /** The duration in milliseconds. */
  enqueue(order: Order): Promise<number>
  close(): Promise<void>
}

export const nodeEnqueuer = (): Contender => ({
  ...goodJobNode(5),
  name: 'good-job-node',
  key: { library: 'good-job-node' },
  share: 1,
})

export const rubyEnqueuer = (): Contender => ({
  ...goodJobRuby('advisory'),
  name: 'GoodJob (Ruby)',
  key: { library: 'good-job' },
  share: 0.2,
})

/** All contenders that can enqueue, by the name that the tables show. */
const contenders = (): Contender[] => [
  nodeEnqueuer(),
  { ...floor(1, 1), name: 'floor: raw insert with its NOTIFY', key: { library: 'floor' }, family: 'floor', share: 1 },
  rubyEnqueuer(),
  { ...graphileDefault(10), name: 'graphile-worker', key: { library: 'graphile-worker' }, share: 1 },
  { ...pgBoss(100), name: 'pg-boss', key: { library: 'pg-boss' } },
]

const nodeClient = async ({ server }: RunOptions, contender: Contender): Promise<Client> => {
  const { module = '', options, tables } = contender
  const database = await server.database(`${tables.name} 0`, tables.waiting(0))
  const child = await Child.boot({ module, databaseUrl: database.url, jobMs: 0, options })
  return {
    enqueue: (order) => child.enqueue(order),
    close: async () => {
      await child.stop()
      await database.drop()
    },
  }
}

const RUBY = {
  oneByOne: 'args[:count].times { job_class.perform_later }',
  bulk: '(args[:count] / args[:size]).times { GoodJob::Bulk.enqueue(Array.new(args[:size]) { job_class.new }) }',
}

/** Ruby measures its own loop; booting Rails does not count. */
const rubyClient = async ({ server }: RunOptions, { options: { rule } }: Contender): Promise<Client> => {
  const jobClass = rule === undefined ? 'NoopJob' : 'LimitedNoopJob'
  const database = await server.database('good_job 0', goodJobsWaiting())
  const app = await RailsApp.boot({ databaseUrl: database.url, schema: 'given' })
  if (rule !== undefined) await app.run('LimitedNoopJob.limit(**args[:rule].deep_symbolize_keys); nil', { rule })
  await app.run(`ActiveJob::Base.logger.level = :warn; ${jobClass}.perform_later; nil`)
  return {
    enqueue: (order) =>
      app.run<number>(
        `job_class = ${jobClass}
         started_at = Process.clock_gettime(Process::CLOCK_MONOTONIC)
         ${RUBY[order.kind]}
         (Process.clock_gettime(Process::CLOCK_MONOTONIC) - started_at) * 1000`,
        { ...order },
      ),
    close: async () => {
      await app.stop()
      await database.drop()
    },
  }
}

/** How jobs are enqueued in a measurement. */
interface Way {
  /** Jobs of a round at full size. */
  readonly jobs: number
  /** Makes an order of at least this number of jobs. */
  readonly orderOf: (count: number) => Order
}

/** The contenders enqueue in turns, each on a database of its own. */
export const measureEnqueue = async (
  options: RunOptions,
  contenders: readonly Contender[],
  { jobs, orderOf }: Way,
): Promise<Series[]> => {
  const collector = new Collector(options.say)
  const chosen = contenders.filter(({ name }) => options.contenders.test(name))
  for (let round = 1; round <= options.rounds; round += 1) {
    const clients = []
    for (const contender of chosen) {
      const client = await (contender.module === undefined ? rubyClient : nodeClient)(options, contender)
      const order = orderOf((jobs * options.scale * (contender.share ?? 1)) / TURNS)
      clients.push({ contender, client, order, ms: 0 })
    }
    for (let turn = 0; turn < TURNS; turn += 1)
      for (const each of clients) each.ms += await each.client.enqueue(each.order)
    for (const { contender, client, order, ms } of clients) {
      await client.close()
      const size = order.count * TURNS
      collector.add(contender, round, { value: (size / ms) * 1000, size })
    }
  }
  return collector.series
}

export const ONE: Way = {
  jobs: ONE_BY_ONE,
  orderOf: (count) => ({ kind: 'oneByOne', count: Math.ceil(count), pauseMs: 0, isTimed: false }),
}

export const MANY: Way = {
  jobs: IN_BULK,
  orderOf: (count) => ({ kind: 'bulk', count: Math.ceil(count / BULK) * BULK, size: BULK }),
}

export const enqueueSuite: Suite = {
  name: 'enqueue',
  run: async (options) => [
    {
      id: 'enqueue-one',
      title: 'Enqueueing one by one, one connection',
      unit: 'jobs/s',
      series: await measureEnqueue(options, contenders(), ONE),
    },
    {
      id: 'enqueue-bulk',
      title: `Enqueueing ${BULK} with one call, one connection`,
      unit: 'jobs/s',
      series: await measureEnqueue(options, contenders(), MANY),
    },
  ],
}
