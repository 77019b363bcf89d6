import { afterAll, expect, test } from 'vitest'
import { RailsApp } from '../compat/rails-app.ts'
import { Adapter } from '../src/index.ts'
import { createDatabase } from '../test/support/postgres.ts'
import { drainRate, NoopJob, report, startLatency, startNodeWorker, untilDrained } from './support.ts'

const NODE_JOBS = Number(process.env.BENCH_JOBS ?? 30_000)
const RUBY_JOBS = Number(process.env.BENCH_RUBY_JOBS ?? 5_000)
const LATENCY_JOBS = 300
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3)

const database = await createDatabase({ template: 'empty' })
const pool = database.pool()
const app = await RailsApp.boot({ databaseUrl: database.url })
const adapter = new Adapter({ databaseUrl: database.url })

afterAll(async () => {
  await adapter.close()
  await app.stop()
  await database.drop()
})

const empty = () => pool.query('TRUNCATE good_jobs, good_job_executions')
interface Side {
  readonly name: string
  readonly jobs: number
  readonly enqueue: (count: number) => Promise<unknown>
  readonly enqueueOne: () => Promise<unknown>
  readonly start: (threads: number) => Promise<{ stop(): Promise<unknown> }>
}

const node: Side = {
  name: 'good-job-node',
  jobs: NODE_JOBS,
  enqueue: (count) => adapter.enqueueAll(Array.from({ length: count }, () => new NoopJob())),
  enqueueOne: () => adapter.enqueue(new NoopJob()),
  start: (threads) => startNodeWorker(database.url, threads),
}
const ruby = (lockStrategy: string): Side => ({
  name: `GoodJob 4.23.1, ${lockStrategy}`,
  jobs: RUBY_JOBS,
  enqueue: (count) => app.run('GoodJob::Bulk.enqueue(Array.new(args[:count]) { NoopJob.new }); nil', { count }),
  enqueueOne: () => app.run('NoopJob.perform_later; nil'),
  start: (threads) =>
    app.startWorker({
      queues: 'default',
      threads,
      pollInterval: 10,
      env: { COMPAT_LOG_LEVEL: 'warn', GOOD_JOB_LOCK_STRATEGY: lockStrategy },
    }),
})
// The default of GoodJob, and its fastest.
const sides = [node, ruby('advisory'), ruby('skiplocked')]

const drain = async (side: Side, threads: number): Promise<number> => {
  await empty()
  await side.enqueue(side.jobs)
  await pool.query('VACUUM ANALYZE good_jobs')
  const worker = await side.start(threads)
  await untilDrained(pool)
  await worker.stop()
  return drainRate(pool)
}

const latency = async (side: Side): Promise<{ p50: number; p99: number }> => {
  await empty()
  const worker = await side.start(10)
  // The next one only when the one before has ended: this is the way of one job, not a queue.
  for (let job = 0; job < LATENCY_JOBS; job++) {
    await side.enqueueOne()
    await untilDrained(pool, 2)
  }
  await worker.stop()
  return startLatency(pool)
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

test('no-op jobs per second of one process, beside GoodJob', async () => {
  const rows: Record<string, string | number>[] = []
  for (const threads of [10, 100]) {
    const rates = new Map<Side, number[]>(sides.map((side) => [side, []]))
    for (let round = 0; round < ROUNDS; round++) {
      for (const [side, values] of rates) values.push(await drain(side, threads))
    }
    const base = median([...rates.values()][1] ?? [])
    for (const [side, values] of rates) {
      rows.push({
        worker: side.name,
        threads,
        'jobs/s (median)': Math.round(median(values)),
        'of GoodJob': (median(values) / base).toFixed(1),
        rounds: values.map(Math.round).join(' '),
      })
    }
  }
  report('No-op jobs per second, one process', rows)
  expect(rows).toHaveLength(6)
})

test('milliseconds from enqueue to start, beside GoodJob', async () => {
  const rows: Record<string, string | number>[] = []
  for (const side of sides) {
    const { p50, p99 } = await latency(side)
    rows.push({ worker: side.name, p50: p50.toFixed(2), p99: p99.toFixed(2) })
  }
  report('Enqueue to start, milliseconds, one job at a time', rows)
  expect(rows).toHaveLength(3)
})
