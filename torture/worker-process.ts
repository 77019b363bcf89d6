import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { RAILS, RUBY, rubyEnvironment } from './ruby.ts'

/** How a Ruby worker claims, or a worker in Node. */
export type Strategy = (typeof STRATEGIES)[number]

/** 'deferred' is a worker in Node that writes the starts of short jobs together with their ends. */
export const STRATEGIES = ['node', 'deferred', 'advisory', 'skiplocked', 'hybrid'] as const

const NODE_STRATEGIES: readonly Strategy[] = ['node', 'deferred']

/** Whether workers of this strategy are Ruby's. */
export const isRuby = (strategy: Strategy): boolean => !NODE_STRATEGIES.includes(strategy)

/** One line that a worker in Node printed about an event. */
export interface WorkerEvent {
  readonly event: string
  readonly at: number
  readonly [key: string]: unknown
}

export interface WorkerPlan {
  /** Unique in the run: names it in the ledger and its connections in Postgres. */
  readonly name: string
  readonly strategy: Strategy
  /** The compiled worker.ts. */
  readonly script: string
  /** The database as the worker reaches it, perhaps through a proxy. */
  readonly databaseUrl: string
  readonly ledgerUrl: string
  /** The database without faults on the way, to see the process row. */
  readonly pool: Pool
  readonly threads: number
  readonly logFolder: string
  readonly onEvent?: (event: WorkerEvent) => void
}

/** A worker of either side in a process of its own. */
export interface FleetWorker {
  readonly plan: WorkerPlan
  readonly side: 'node' | 'ruby'
  readonly pid: number
  readonly processId: string
  readonly exited: Promise<unknown>
  hasExited(): boolean
  signal(signal: NodeJS.Signals): void
}

const QUEUES = { node: 'shared,node,limited', ruby: 'shared,ruby,limited' } as const
const DEFER_MS = 30
const BOOT_TIMEOUT_MS = 120_000

/** Starts a worker; resolves when it works. It ends with this process, when its standard input does. */
export const startWorker = async (plan: WorkerPlan): Promise<FleetWorker> =>
  isRuby(plan.strategy) ? startRuby(plan) : startNode(plan)

const startNode = async (plan: WorkerPlan): Promise<FleetWorker> => {
  const { databaseUrl, threads } = plan
  const options = {
    databaseUrl,
    threads,
    queues: QUEUES.node,
    pollInterval: 1,
    batchSweepInterval: 5,
    batchSweepGrace: 10,
    deferStart: plan.strategy === 'deferred' ? DEFER_MS : 0,
  }
  const log = openSync(`${plan.logFolder}/${plan.name}.log`, 'w')
  const child = spawn(process.execPath, [plan.script], {
    env: { ...process.env, ...ledgerEnvironment(plan), WORKER_OPTIONS: JSON.stringify(options) },
    stdio: ['pipe', 'pipe', log],
  })
  const processId = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`${plan.name} ended before it was ready; see ${plan.logFolder}`)))
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      if (line.startsWith('ready ')) resolve(line.slice('ready '.length))
      else plan.onEvent?.(JSON.parse(line))
    })
  })
  return workerOf(plan, 'node', child, processId)
}

const startRuby = async (plan: WorkerPlan): Promise<FleetWorker> => {
  const log = openSync(`${plan.logFolder}/${plan.name}.log`, 'w')
  const child = spawn(RUBY, ['bin/good_job', 'start'], {
    cwd: RAILS,
    env: rubyEnvironment({
      ...ledgerEnvironment(plan),
      DATABASE_URL: plan.databaseUrl,
      COMPAT_ENDS_WITH_STDIN: '1',
      COMPAT_LOG_LEVEL: 'warn',
      GOOD_JOB_LOCK_STRATEGY: plan.strategy,
      GOOD_JOB_QUEUES: QUEUES.ruby,
      GOOD_JOB_MAX_THREADS: String(plan.threads),
      GOOD_JOB_POLL_INTERVAL: '1',
      GOOD_JOB_SHUTDOWN_TIMEOUT: '20',
    }),
    stdio: ['pipe', log, log],
  })
  const deadline = performance.now() + BOOT_TIMEOUT_MS
  for (;;) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`${plan.name} did not start; see ${plan.logFolder}`)
    const processId = await findProcess(plan.pool, child.pid ?? 0)
    if (processId !== undefined) return workerOf(plan, 'ruby', child, processId)
    await sleep(200)
  }
}

const ledgerEnvironment = ({ ledgerUrl, name, strategy }: WorkerPlan) => ({
  LEDGER_URL: ledgerUrl,
  FLEET_WORKER: name,
  FLEET_STRATEGY: strategy,
})

/** $1 pid. Repeated if a fault is under way. */
const FIND_PROCESS = `SELECT id FROM good_job_processes WHERE (state->>'pid')::integer = $1 ORDER BY created_at DESC LIMIT 1`
const findProcess = async (pool: Pool, pid: number): Promise<string | undefined> => {
  const { rows } = await pool.query<{ id: string }>(FIND_PROCESS, [pid]).catch(() => ({ rows: [] }))
  return rows[0]?.id
}

const workerOf = (plan: WorkerPlan, side: 'node' | 'ruby', child: ChildProcess, processId: string): FleetWorker => {
  const isOver = () => child.exitCode !== null || child.signalCode !== null
  return {
    plan,
    side,
    pid: child.pid ?? 0,
    processId,
    exited: isOver() ? Promise.resolve() : once(child, 'exit'),
    hasExited: isOver,
    signal: (signal) => void child.kill(signal),
  }
}
