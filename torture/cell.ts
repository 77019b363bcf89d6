import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { Adapter, type Job } from '../src/index.ts'
import { registerWorker } from './fleet.ts'
import { EnqueueJob, NodeJob, type Plan, RubyJob, SharedJob } from './jobs.ts'
import { Random } from './random.ts'
import { judge, prepareRuns, type Verdict } from './verdict.ts'
import { type FleetWorker, type Strategy, startWorker } from './worker-process.ts'

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

const THREADS = 4
/** Jobs that one statement enqueues, and one job of Ruby. */
const PAGE = 50
/** Enqueues go on while jobs are worked: that many may be waiting. */
const BACKLOG = 400

/** Lets a fleet without faults work that many jobs, enqueued by both sides meanwhile; answers what the ledger says. */
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
        threads: THREADS,
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

/** Half of them from here, half from Ruby, which enqueues inside jobs of its own. */
const enqueueAll = async ({ databaseUrl, pool, jobs, seed }: CellOptions): Promise<string[]> => {
  const random = new Random(seed)
  const adapter = new Adapter({ databaseUrl })
  const wanted: string[] = []
  for (let left = jobs; left > 0; left -= 2 * PAGE) {
    while ((await countOpen(pool)) > BACKLOG) await sleep(20)
    const here = Array.from({ length: Math.min(PAGE, Math.ceil(left / 2)) }, () => jobOf(random))
    const there = new EnqueueJob(Array.from({ length: Math.min(PAGE, Math.floor(left / 2)) }, () => planInRuby(random)))
    await adapter.enqueueAll([...here, there])
    wanted.push(...here.map(({ jobId }) => jobId))
  }
  await adapter.close()
  return wanted
}

const jobOf = (random: Random): Job => {
  const job = new (random.pick([SharedJob, SharedJob, SharedJob, NodeJob, RubyJob]) ?? SharedJob)(...planOf(random))
  return job.set(waitOf(random))
}

const planInRuby = (random: Random) => {
  const name = random.pick([
    'Fleet::SharedJob',
    'Fleet::SharedJob',
    'Fleet::SharedJob',
    'Node::FleetJob',
    'Fleet::RubyJob',
  ])
  return [name, waitOf(random), planOf(random)]
}

/** Tiny bodies, so that claims meet; some of the jobs are retried. */
const planOf = (random: Random): Plan => [random.whole(0, 5), random.chance(0.1) ? 1 : 0, 0]

const waitOf = (random: Random): { wait?: number } => (random.chance(0.1) ? { wait: random.whole(1, 2) } : {})

const countOpen = async (pool: Pool): Promise<number> => {
  const { rows } = await pool.query<{ jobs: number }>(
    'SELECT count(*)::integer AS jobs FROM good_jobs WHERE finished_at IS NULL',
  )
  return rows[0]?.jobs ?? 0
}

const untilNoneIsOpen = async (pool: Pool): Promise<void> => {
  while ((await countOpen(pool)) > 0) await sleep(50)
}
