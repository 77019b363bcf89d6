import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { Adapter, type Job } from '../src/index.ts'
import { registerWorker } from './fleet.ts'
import { EnqueueJob, NodeJob, type Plan, RubyJob, SharedJob } from './jobs.ts'
import { Random } from './random.ts'
import { prepareRuns } from './runs.ts'
import { judge, type Verdict } from './verdict.ts'
import { type FleetWorker, isRuby, type Strategy, startWorker } from './worker-process.ts'

export interface CellOptions {
  readonly databaseUrl: string
  readonly pool: Pool
  /** How each worker claims. */
  readonly strategies: readonly Strategy[]
  readonly jobs: number
  readonly seed: number
  readonly logFolder: string
  /** The compiled worker.ts. */
  readonly script: string
}

/** Fewer in Node, or it would take every job before Ruby's query: both sides are to meet at the head of the queue. */
const THREADS = { node: 2, ruby: 4 } as const
/** Jobs that one statement enqueues, and one job of Ruby. */
const PAGE = { node: 80, ruby: 20 } as const
/** Jobs are enqueued while others run: at most this number of a queue may be waiting. */
const BACKLOG = 200

/** Lets a fleet without faults run `jobs` jobs, enqueued by both sides meanwhile; returns the result of the ledger. */
export const runCell = async (options: CellOptions): Promise<Verdict> => {
  const { pool, strategies, databaseUrl, logFolder, script } = options
  const workers = await Promise.all(
    strategies.map((strategy, index) =>
      startWorker({
        name: `${strategy}-${index + 1}`,
        strategy,
        script,
        databaseUrl,
        ledgerUrl: databaseUrl,
        pool,
        threads: isRuby(strategy) ? THREADS.ruby : THREADS.node,
        logFolder,
      }),
    ),
  )
  try {
    await Promise.all(workers.map((worker) => registerWorker(pool, worker)))
    const wanted = await enqueueAll(options)
    await untilNoneIsOpen(pool)
    await Promise.all(workers.map(stop))
    await prepareRuns(pool)
    return await judge(pool, wanted)
  } finally {
    for (const worker of workers) worker.signal('SIGKILL')
  }
}

const stop = async (worker: FleetWorker): Promise<void> => {
  worker.signal('SIGTERM')
  await worker.exited
}

/** Most of them from here, the others from Ruby, which enqueues inside jobs of its own. */
const enqueueAll = async ({ databaseUrl, pool, jobs, seed }: CellOptions): Promise<string[]> => {
  const random = new Random(seed)
  const adapter = new Adapter({ databaseUrl })
  const wanted: string[] = []
  for (let left = jobs; left > 0; left -= PAGE.node + PAGE.ruby) {
    while (await isFull(pool)) await sleep(20)
    const here = Array.from({ length: PAGE.node }, () => jobOf(random))
    const there = new EnqueueJob(Array.from({ length: PAGE.ruby }, () => planInRuby(random)))
    await adapter.enqueueAll([...here, there])
    wanted.push(...here.map(({ jobId }) => jobId))
  }
  await adapter.close()
  return wanted
}

/** The number of jobs out of twenty in a queue of one side. */
const CLASSES = [...Array.from({ length: 17 }, () => SharedJob), NodeJob, NodeJob, RubyJob] as const

const classOf = (random: Random) => random.pick(CLASSES) ?? SharedJob

const jobOf = (random: Random): Job => new (classOf(random))(...planOf(random)).set(waitOf(random))

const planInRuby = (random: Random) => [classOf(random).jobClass, waitOf(random), planOf(random)]

/** Durations that leave the slower side its share of the jobs, and let claims collide; some of the jobs are retried. */
const planOf = (random: Random): Plan => [random.whole(0, 60), random.chance(0.1) ? 1 : 0, 0]

const waitOf = (random: Random): { wait?: number } => (random.chance(0.1) ? { wait: random.whole(1, 2) } : {})

const OPEN = 'SELECT queue_name, count(*)::integer AS jobs FROM good_jobs WHERE finished_at IS NULL GROUP BY 1'

const openJobs = async (pool: Pool): Promise<number[]> =>
  (await pool.query<{ jobs: number }>(OPEN)).rows.map(({ jobs }) => jobs)

const isFull = async (pool: Pool): Promise<boolean> => (await openJobs(pool)).some((jobs) => jobs > BACKLOG)

const untilNoneIsOpen = async (pool: Pool): Promise<void> => {
  while ((await openJobs(pool)).length > 0) await sleep(50)
}
