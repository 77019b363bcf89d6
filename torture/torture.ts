import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import pg, { type Pool } from 'pg'
import { Faults, insist } from './faults.ts'
import { Fleet } from './fleet.ts'
import { LEDGER_TABLES } from './ledger.ts'
import { Load } from './load.ts'
import { Operator } from './operator.ts'
import { Random } from './random.ts'
import { printReport, violationsOf } from './report.ts'
import { prepareRuns } from './runs.ts'
import { type RestartableServer, startRestartableServer } from './server.ts'
import { copyLedger, judge } from './verdict.ts'
import { isRuby, type Strategy } from './worker-process.ts'

export interface TortureOptions {
  readonly minutes: number
  readonly seed: number
  /** Mean seconds from one fault to the next. */
  readonly every: number
  /** How each worker of the fleet claims. */
  readonly workers: readonly Strategy[]
  /** Names of the faults to choose from. @default all */
  readonly faults?: readonly string[] | undefined
  readonly logFolder: string
}

/** Everything that one run needs. */
interface Scene {
  readonly server: RestartableServer
  readonly ledgerServer: RestartableServer
  readonly pool: Pool
  readonly ledger: Pool
  readonly fleet: Fleet
  readonly load: Load
  readonly operator: Operator
  readonly faults: Faults
}

const THREADS = 5
const BACKLOG = 50
const PROGRESS_MS = 5_000

/** Runs the fleet under faults and prints the report; returns whether every promise was kept. */
export const runTorture = async (options: TortureOptions): Promise<boolean> => {
  const scene = await setUp(options)
  try {
    await scene.fleet.start(options.workers)
    await tortureFor(scene, options)
    const rescued = await drain(scene)
    await scene.fleet.stop()
    return await report(scene, rescued)
  } finally {
    await tearDown(scene)
  }
}

const setUp = async ({ seed, workers, logFolder, faults: only }: TortureOptions): Promise<Scene> => {
  const [server, ledgerServer] = await Promise.all([startRestartableServer(), startRestartableServer()])
  const pool = quietPool(server.databaseUrl)
  const ledger = quietPool(ledgerServer.databaseUrl)
  // Without it an immediate restart loses confirmed commits, for which no program can be blamed.
  await pool.query('ALTER SYSTEM SET synchronous_commit = on')
  await pool.query('SELECT pg_reload_conf()')
  await pool.query(await readFile('schema.sql', 'utf8'))
  await ledger.query(LEDGER_TABLES)
  const random = new Random(seed)
  const hasRuby = workers.some(isRuby)
  const load = new Load({
    databaseUrl: server.databaseUrl,
    pool,
    random: new Random(seed + 1),
    hasRuby,
    backlog: BACKLOG,
  })
  const operator = new Operator({ adapter: load.adapter, pool, ledger, random })
  const fleet = new Fleet({
    databaseUrl: server.databaseUrl,
    ledgerUrl: ledgerServer.databaseUrl,
    pool,
    ledger,
    logFolder,
    script: new URL('./worker.js', import.meta.url).pathname,
    threads: THREADS,
  })
  const faults = new Faults({ fleet, server, operator, random, pool, ledger, only })
  return { server, ledgerServer, pool, ledger, fleet, load, operator, faults }
}

const quietPool = (connectionString: string): Pool => {
  const pool = new pg.Pool({ connectionString, max: 6, connectionTimeoutMillis: 10_000 })
  pool.on('error', () => undefined)
  return pool
}

/** Load, faults and repairs until the time is over, each in its own loop. */
const tortureFor = async (scene: Scene, { minutes, seed, every }: TortureOptions): Promise<void> => {
  const { load, faults, operator } = scene
  const random = new Random(seed + 2)
  const end = performance.now() + minutes * 60_000
  const until = async (pauseMs: () => number, turn: () => unknown) => {
    while (performance.now() < end) {
      await Promise.resolve(turn()).catch(() => undefined)
      await sleep(pauseMs())
    }
  }
  await Promise.all([
    until(
      () => 200,
      () => load.topUp(),
    ),
    until(
      () => 1_000,
      () => operator.retryDiscarded(),
    ),
    until(
      () => random.whole(every * 100, every * 1_900),
      () => faults.injectNext(),
    ),
    until(
      () => PROGRESS_MS,
      () => progress(scene, end),
    ),
  ])
  await faults.over()
}

const PROGRESS = `
SELECT count(*) FILTER (WHERE finished_at IS NOT NULL)::integer AS ended, count(*)::integer AS jobs FROM good_jobs`

const progress = async ({ pool, faults, fleet }: Scene, end: number): Promise<void> => {
  const { rows } = await pool.query<{ ended: number; jobs: number }>(PROGRESS)
  const { ended = 0, jobs = 0 } = rows[0] ?? {}
  const injected = [...faults.counts.values()].reduce((sum, count) => sum + count, 0)
  const left = Math.max(0, Math.round((end - performance.now()) / 1_000))
  const gone = fleet.deserters.length === 0 ? '' : `, ${fleet.deserters.length} workers gone`
  console.log(`  ${left} s left: ${ended} of ${jobs} jobs ended, ${injected} faults${gone}`)
}

const OPEN = `
SELECT (SELECT count(*) FROM good_jobs WHERE finished_at IS NULL OR error IS NOT NULL)::integer AS jobs,
  (SELECT count(*) FROM good_job_batches WHERE finished_at IS NULL OR discarded_at IS NOT NULL)::integer AS batches`

const DRAIN_MS = 60_000

/**
 * Lets everything end, without faults. Jobs still open after a minute may belong to a living Ruby process that does not know it: its
 * outcome could not be written, or its claim not be begun. The end of that process releases them. GoodJob 4.23.1
 * capsule_tracker.rb#unregister: a process that lost count of its locks in a fault leaves its row behind even after a normal stop, and
 * other processes release its jobs when the row has expired. Returns how many jobs needed this.
 */
const drain = async (scene: Scene): Promise<number> => {
  if ((await untilEnded(scene)) === 0) return 0
  const open = (await scene.pool.query<{ jobs: number }>(OPEN)).rows[0]?.jobs ?? 0
  const ruby = scene.fleet.places.filter(({ strategy }) => isRuby(strategy))
  await scene.fleet.stop(ruby)
  for (const { worker } of ruby) await scene.fleet.forget(worker)
  for (const place of ruby) await scene.fleet.replace(place)
  await untilEnded(scene)
  return open
}

const untilEnded = async ({ pool, operator }: Scene): Promise<number> => {
  const deadline = performance.now() + DRAIN_MS
  for (;;) {
    await insist(() => operator.retryDiscarded())
    await insist(() => operator.callRefused())
    const { jobs = 0, batches = 0 } = (await pool.query<{ jobs: number; batches: number }>(OPEN)).rows[0] ?? {}
    if (jobs + batches === 0 || performance.now() > deadline) return jobs + batches
    await sleep(500)
  }
}

const report = async (scene: Scene, rescued: number): Promise<boolean> => {
  const { pool, ledger, load, faults, fleet, operator } = scene
  await copyLedger(ledger, pool)
  await prepareRuns(pool)
  const verdict = await judge(pool, load.wanted)
  const violations = violationsOf(verdict, fleet.deserters)
  printReport({ verdict, violations, rescued, faults: faults.counts, events: fleet.events, operator: operator.counts })
  return violations.length === 0
}

const tearDown = async ({ fleet, load, pool, ledger, server, ledgerServer }: Scene): Promise<void> => {
  await fleet.dispose()
  await load.close()
  await Promise.all([pool.end(), ledger.end()])
  await Promise.all([server.stop(), ledgerServer.stop()])
}
