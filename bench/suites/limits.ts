import { setTimeout as sleep } from 'node:timers/promises'
import { type Contender, goodJobNode, goodJobRuby, withRule } from '../contenders.ts'
import { type Drained, drain } from '../drain.ts'
import { RubyWorker } from '../ruby.ts'
import { Collector, type RunOptions, type Suite } from '../run.ts'
import type { BenchDatabase, BenchServer } from '../server.ts'
import { serverCpuSeconds } from '../server-cpu.ts'
import { sharedNow } from '../workers/spec.ts'

/** Threads of GoodJob in this suite. */
const RUBY_THREADS = 10
/** GoodJob would not come to an end: it is measured for a minute. */
const RUBY_SECONDS = 60
const RUBY_SECONDS_AT_LEAST = 15

const NO_RULE = 'no rule'

export const ruby = (): Contender => goodJobRuby('advisory', RUBY_THREADS)

/** How long GoodJob is measured in this run. */
const rubySeconds = ({ scale }: RunOptions): number =>
  Math.max(RUBY_SECONDS_AT_LEAST, RUBY_SECONDS * Math.min(1, scale))

const HAS_BEGUN = 'SELECT 1 FROM good_job_executions LIMIT 1'
/** $1 class */
const FINISHED = 'SELECT count(*)::int AS jobs FROM good_jobs WHERE finished_at IS NOT NULL AND job_class = $1'

/** What GoodJob does in its first minute, from its first attempt on. Its rows are counted once, at the end. */
export const firstMinute = async (
  options: RunOptions,
  contender: Contender,
  jobClass: string,
  open: () => Promise<BenchDatabase>,
): Promise<Omit<Drained, 'peakRssMb'>> => {
  const database = await open()
  const worker = await RubyWorker.boot(database.url, contender.options)
  try {
    await worker.start()
    while ((await database.client.query(HAS_BEGUN)).rowCount === 0) await sleep(10)
    const startedAt = sharedNow()
    const before = { worker: await worker.usage(), server: await serverCpuSeconds(database.client) }
    await sleep(rubySeconds(options) * 1000)
    const { rows } = await database.client.query<{ jobs: number }>(FINISHED, [jobClass])
    const seconds = (sharedNow() - startedAt) / 1000
    return {
      jobs: rows[0]?.jobs ?? 0,
      seconds,
      cpuSeconds: (await worker.usage()).cpuSeconds - before.worker.cpuSeconds,
      serverCpuSeconds: (await serverCpuSeconds(database.client)) - before.server,
    }
  } finally {
    worker.kill()
    await database.drop()
  }
}

interface LimitScene {
  readonly contender: Contender
  /** Jobs of a round at full size that are run of those that wait. @default all */
  readonly jobs?: number
}

export const isRuby = ({ module }: Contender): boolean => module === undefined

const openTables = (server: BenchServer, { tables }: Contender, waiting: number): Promise<BenchDatabase> =>
  server.database(`${tables.name} ${waiting}`, tables.waiting(waiting))

const measureScene = (options: RunOptions, { contender, jobs }: LimitScene, waiting: number) => {
  const open = () => openTables(options.server, contender, waiting)
  if (isRuby(contender)) return firstMinute(options, contender, 'LimitedNoopJob', open)
  const measured = jobs === undefined ? waiting : Math.round(jobs * options.scale)
  return drain(options.server, contender, { jobs: measured, database: open, isPartial: measured < waiting })
}

/** Rates, and the CPU time of a job; each scene is measured once a round. */
const measureScenes = async (options: RunOptions, scenes: readonly LimitScene[], waiting: number) => {
  const rates = new Collector(options.say)
  const costs = new Collector(() => {})
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const scene of scenes.filter(({ contender }) => options.contenders.test(contender.name))) {
      const { jobs, seconds, cpuSeconds, serverCpuSeconds } = await measureScene(options, scene, waiting)
      const cost = ((cpuSeconds + serverCpuSeconds) / Math.max(1, jobs)) * 1e6
      const note = `${jobs} jobs, µs CPU each: worker ${micros(cpuSeconds, jobs)}, server ${micros(serverCpuSeconds, jobs)}`
      rates.add(scene.contender, round, { value: jobs / seconds, size: jobs, note })
      if (!Number.isNaN(cost)) costs.add(scene.contender, round, { value: cost, size: jobs })
    }
  }
  return { rates: rates.series, costs: costs.series }
}

const micros = (seconds: number, jobs: number): string => ((seconds / Math.max(1, jobs)) * 1e6).toFixed(0)

const waitingJobs = ({ scale }: RunOptions): number => Math.max(1_000, Math.round(100_000 * scale))

/** Every job has the same key. */
export const oneKeySuite: Suite = {
  name: 'limits-one-key',
  group: 'limits',
  run: async (options) => {
    const waiting = waitingJobs(options)
    const oneKey = (contender: Contender, performLimit?: number): Contender => {
      const text = performLimit === undefined ? NO_RULE : `performLimit ${performLimit}`
      return withRule(contender, text, { keys: 1, ...(performLimit === undefined ? {} : { performLimit }) })
    }
    const scenes: LimitScene[] = [
      { contender: oneKey(goodJobNode(10)) },
      { contender: oneKey(goodJobNode(10), 10) },
      // A part of the jobs: with so few at a time all of them would take minutes.
      { contender: oneKey(goodJobNode(10), 2), jobs: 30_000 },
      // As many at a time without a rule: fewer jobs share each statement then, too.
      { contender: oneKey(goodJobNode(2)), jobs: 30_000 },
      { contender: oneKey(goodJobNode(100)) },
      { contender: oneKey(goodJobNode(100), 100) },
      { contender: oneKey(ruby()) },
      { contender: oneKey(ruby(), 10) },
      { contender: oneKey(ruby(), 2) },
    ]
    const { rates, costs } = await measureScenes(options, scenes, waiting)
    const title = `${waiting.toLocaleString('en')} jobs of one key`
    return [
      { id: 'limits-one-key', title, unit: 'jobs/s', series: rates },
      { id: 'limits-one-key-cpu', title: `${title}: CPU of worker and server`, unit: 'µs a job', series: costs },
    ]
  },
}

/** The same jobs spread over many keys. */
export const manyKeysSuite: Suite = {
  name: 'limits-many-keys',
  group: 'limits',
  run: async (options) => {
    const waiting = waitingJobs(options)
    const keys = Math.round(waiting / 10)
    const manyKeys = (contender: Contender, text: string, limits: { readonly performLimit?: number }) =>
      withRule(contender, text, { keys, ...limits })
    const scenes: LimitScene[] = [
      { contender: manyKeys(goodJobNode(100), NO_RULE, {}) },
      { contender: manyKeys(goodJobNode(100), 'performLimit 1', { performLimit: 1 }) },
      { contender: manyKeys(ruby(), 'performLimit 1', { performLimit: 1 }) },
    ]
    const { rates, costs } = await measureScenes(options, scenes, waiting)
    const title = `${waiting.toLocaleString('en')} jobs of ${keys.toLocaleString('en')} keys`
    return [
      { id: 'limits-many-keys', title, unit: 'jobs/s', series: rates },
      { id: 'limits-many-keys-cpu', title: `${title}: CPU of worker and server`, unit: 'µs a job', series: costs },
    ]
  },
}
