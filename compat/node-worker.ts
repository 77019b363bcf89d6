import { inject } from 'vitest'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { Program } from './support/program.ts'

/** How long Node may take to start on a busy machine. */
const START_TIMEOUT_MS = 60_000

/** 'node': classes that only Node has, as the README recommends to a Rails team · 'shared': the names of the Ruby classes. */
export type JobModules = 'node' | 'shared' | 'both'

const MODULES: Readonly<Record<JobModules, readonly string[]>> = {
  node: ['jobs/node-only-jobs.js'],
  shared: ['jobs/node-jobs.js'],
  both: ['jobs/node-only-jobs.js', 'jobs/node-jobs.js'],
}

/** Options of a worker that sweeps batches as early as possible. */
export const SWEEPS_OFTEN = ['--batch-sweep-interval', '0.2', '--batch-sweep-grace', '0.2']

export interface NodeWorkerOptions {
  /** A queue string. @default 'node' */
  readonly queues?: string
  /** @default 'node' */
  readonly jobs?: JobModules
  /** @default 5 */
  readonly threads?: number
  /** More options of `good-job start`, for example ['--batch-sweep-interval', '1']. */
  readonly options?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

/** A `good-job start` of our own. */
export interface NodeWorker {
  readonly pid: number
  /** Id of its row in good_job_processes. */
  readonly processId: string
  readonly program: Program
  /** How many sweeps of batches it has logged. */
  sweeps(): number
  /** Resolves when it has swept `times` times more. */
  untilSwept(times: number): Promise<void>
  /** SIGTERM: it finishes what it runs. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
}

/** Starts the built `good-job start` on the application's database; resolves when it logs that it is ready. */
export const startNodeWorker = async (app: RailsApp, options: NodeWorkerOptions = {}): Promise<NodeWorker> => {
  const { queues = 'node', jobs = 'node', threads = 5 } = options
  const worker = ['--queues', queues, '--threads', String(threads), '--poll-interval', '1', '--log-level', 'debug']
  const args = ['dist/cli.js', 'start', ...worker, '--json', ...(options.options ?? []), ...MODULES[jobs]]
  const program = app.adopt(nodeProgram(app, 'node-worker', args, options.env))
  const ready = await eventually(
    'the worker in Node is ready',
    async () => (program.hasExited ? 'ended' : firstLine(program)),
    START_TIMEOUT_MS,
  )
  if (ready === 'ended') throw new Error(`The worker in Node ended:\n${program.lastWords()}`)
  const { process_id: processId } = JSON.parse(ready) as { process_id: string }
  const sweeps = () => program.words().split('"event":"batch_sweep"').length - 1
  const untilSwept = async (times: number) => {
    const seen = sweeps()
    await eventually(`Node has swept ${times} times more`, async () => sweeps() >= seen + times)
  }
  const stopping = { stop: () => program.stop(), kill: () => program.kill() }
  return { pid: program.pid, processId, program, sweeps, untilSwept, ...stopping }
}

export interface CliResult {
  readonly exitCode: number | null
  readonly output: string
}

/** Runs one of the operator commands, such as `['jobs', 'retry', id]`, to its end. */
export const goodJob = async (app: RailsApp, args: readonly string[]): Promise<CliResult> => {
  const program = app.adopt(nodeProgram(app, 'good-job', ['dist/cli.js', ...args]))
  await program.exited
  return { exitCode: program.exitCode, output: program.lastWords() }
}

const nodeProgram = (app: RailsApp, name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program => {
  const own = Object.entries(process.env).filter(([key]) => !/^(GOOD_JOB_|PG|VITEST|NODE_OPTIONS)/.test(key))
  return new Program({
    name: `${name}-${app.goodJobVersion}`,
    command: process.execPath,
    args,
    cwd: inject('packageFolder'),
    env: { ...Object.fromEntries(own), DATABASE_URL: app.databaseUrl, ...env },
  })
}

const firstLine = (program: Program): string | undefined =>
  program
    .words()
    .split('\n')
    .find((line) => line.startsWith('{"status":"ready"'))
