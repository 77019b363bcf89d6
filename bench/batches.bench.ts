import { expect, test } from 'vitest'
import { Adapter, Batch } from '../src/index.ts'
import { createDatabase } from '../test/support/postgres.ts'
import { drainRate, NoopJob, report, startNodeWorker, untilDrained } from './support.ts'

const JOBS = Number(process.env.BENCH_JOBS ?? 100_000)
const THREADS = 100
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3)

const jobs = (count: number) => Array.from({ length: count }, () => new NoopJob())

type Fill = (adapter: Adapter) => Promise<unknown>

const plain: Fill = (adapter) => adapter.enqueueAll(jobs(JOBS))
const oneBatch: Fill = (adapter) => new Batch({}, adapter).enqueue(jobs(JOBS))
const batchesOfTen: Fill = async (adapter) => {
  for (let rest = JOBS / 10; rest > 0; rest -= 1_000) {
    await Batch.enqueueAll(
      Array.from({ length: Math.min(rest, 1_000) }, () => [new Batch({}, adapter), jobs(10)] as const),
    )
  }
}

const measure = async (fill: Fill): Promise<number> => {
  const database = await createDatabase()
  const pool = database.pool()
  const adapter = new Adapter({ databaseUrl: database.url })
  await fill(adapter)
  await adapter.close()
  await pool.query('VACUUM ANALYZE')
  const worker = await startNodeWorker(database.url, THREADS)
  await untilDrained(pool)
  await worker.stop()
  const rate = await drainRate(pool)
  await database.drop()
  return rate
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

test(`${JOBS} members drain at a rate near that of plain jobs`, async () => {
  const rates = { plain: [] as number[], oneBatch: [] as number[], batchesOfTen: [] as number[] }
  for (let round = 0; round < ROUNDS; round++) {
    rates.plain.push(await measure(plain))
    rates.oneBatch.push(await measure(oneBatch))
    rates.batchesOfTen.push(await measure(batchesOfTen))
  }
  const base = median(rates.plain)
  const row = (name: string, values: number[]) => ({
    workload: name,
    'jobs/s (median)': Math.round(median(values)),
    'of plain': `${Math.round((median(values) / base) * 100)} %`,
    rounds: values.map(Math.round).join(' '),
  })
  report(`${JOBS} no-op jobs, one process, ${THREADS} threads, ${ROUNDS} alternating rounds`, [
    row('plain', rates.plain),
    row('one batch', rates.oneBatch),
    row('batches of ten', rates.batchesOfTen),
  ])
  expect(Object.values(rates).flat().every(Number.isFinite)).toBe(true)
})
