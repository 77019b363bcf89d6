import { randomUUID } from 'node:crypto'
import type { Pool } from 'pg'
import { parseQueueString } from '../claim/queue-string.ts'
import {
  type Configuration,
  type Durations,
  durationsOf,
  limitMs,
  type Options,
  resolveConfiguration,
} from '../configuration.ts'
import { Deadline } from '../deadline.ts'
import { ConfigurationError, GoodJobError } from '../errors.ts'
import { events } from '../events.ts'
import type { JobConstructor } from '../job/base.ts'
import { withProcess } from '../job/context.ts'
import { JobRegistry } from '../job/definition/registry.ts'
import { Adapter } from '../maintenance/adapter.ts'
import type { Health } from '../probe/health.ts'
import type { ReachOptions } from '../sql/connection/reach.ts'
import { Database } from '../sql/database.ts'
import { removeProcess } from '../sql/process/processes.ts'
import { assertThreadFiles } from '../sql/threads/file.ts'
import { type Clock, systemClock } from '../time.ts'
import { buildParts, type CapsuleParts } from './capsule-parts.ts'
import { checkCron } from './cron-part.ts'
import { workerHealth } from './health.ts'
import { HostBindings, type HostOptions } from './host-bindings.ts'
import { Parts } from './part.ts'
import { partList } from './part-list.ts'
import { STOP_GRACE_MS, shutDown } from './shutdown.ts'

export type CapsuleOptions = Options &
  HostOptions & {
    /** The job classes that this worker runs; jobs of other classes are never claimed. */
    readonly jobs: readonly JobConstructor[]
    /** Your own pg pool; the capsule never ends it. */
    readonly pool?: Pool
    readonly clock?: Clock
  }

/** JavaScript callers may omit the options; the error then names what is missing. */
const NO_OPTIONS = {} as CapsuleOptions
/** Limit for closing the pool of a capsule that was never started. */
const CLOSE_POOL_MS = 500
const LEAVE_MS = 5_000
/** A reachable server gets at least this long to respond, even with a connect timeout of 0. */
const MIN_CONNECT_MS = 1_000
/** Longer than the interval between two beats, so an idle worker keeps one connection instead of reconnecting for each beat. */
const POOL_IDLE_MS = 60_000

/**
 * - `created`: Nothing runs; the worker has no open connection. A start that fails returns to this state and may be tried again.
 * - `starting`: The parts are being started, one after the other. Nothing is claimed before LISTEN has begun or was postponed.
 * - `running`: Every part has started; jobs are claimed.
 * - `stopping`: No job is claimed any more. The parts are being stopped; running jobs have time until the deadline.
 * - `stopped`: The state after a shutdown, also of a capsule that was never started. A job that ignores its signal may still run, on the
 * parts it needs. Only `restart` leaves this state.
 */
export type CapsuleState = 'created' | 'starting' | 'running' | 'stopping' | 'stopped'

type RunningParts = CapsuleParts & { readonly parts: Parts }

/** A worker inside your own process: builds, starts and stops all parts. GoodJob: Capsule. */
export class Capsule implements AsyncDisposable {
  /** Id of the process row, of locked_by_id and of every attempt of this capsule. */
  readonly processId = randomUUID()
  readonly configuration: Configuration
  readonly registry = new JobRegistry()
  readonly adapter: Adapter
  /** What probes report about this worker: `createServer(probeHandler(capsule.health))`. */
  readonly health: Health = workerHealth({ state: () => this.#state, parts: () => this.#worker })
  readonly #durations: Durations
  readonly #database: Database
  readonly #clock: Clock
  readonly #host: HostBindings
  readonly #pools
  #worker: RunningParts | undefined
  #state: CapsuleState = 'created'
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  /** A restart that nobody has cancelled by a shutdown. */
  #restarting: Promise<void> | undefined
  /** The jobs that ignored their signal at the last shutdown have ended. */
  #lastJobs: Promise<void> = Promise.resolve()
  #stop = new AbortController()
  #abort = new AbortController()
  #lastActivityMs: number
  #isStoppedCleanly = true
  /** The deadline of the shutdown. */
  #deadline = new Deadline(Number.POSITIVE_INFINITY)

  /** @throws ConfigurationError, QueueStringError for options that cannot work. */
  constructor({ jobs, pool, logger, logEvents, catchRejections, clock, ...options }: CapsuleOptions = NO_OPTIONS) {
    assertThreadFiles()
    this.registry.registerAll(jobs)
    this.configuration = resolveConfiguration(options)
    this.#durations = durationsOf(this.configuration)
    this.#clock = clock ?? systemClock
    this.#host = new HostBindings(this.processId, { logger, logEvents, catchRejections })
    this.#lastActivityMs = this.#clock.monotonic()
    this.#pools = parseQueueString(this.configuration.queues, this.configuration.threads)
    this.#database = new Database({
      databaseUrl: this.configuration.databaseUrl,
      directDatabaseUrl: this.configuration.directDatabaseUrl,
      pool,
      poolSize: this.configuration.poolSize,
      poolIdleMs: POOL_IDLE_MS,
      applicationName: 'GoodJob::Capsule',
    })
    const { registry } = this
    this.adapter = new Adapter({ ...options, database: this.#database, clock: this.#clock, registry })
    checkCron(this.adapter, options, this.#host.logger)
  }

  get state(): CapsuleState {
    return this.#state
  }

  /** Ids of the jobs that run now, including those whose outcome is not written yet. */
  get activeJobIds(): string[] {
    return [...(this.#worker?.performer.attempts.keys() ?? [])]
  }

  /** Seconds since the last job ended, or since the start; 0 while a job runs. */
  get idleSeconds(): number {
    if (this.#worker?.pools.isIdle === false) return 0
    return (this.#clock.monotonic() - this.#lastActivityMs) / 1000
  }

  /** False after a shutdown that could not write every outcome or remove the process row, because Postgres did not answer. */
  get isStoppedCleanly(): boolean {
    return this.#isStoppedCleanly
  }

  get isListening(): boolean {
    return this.#worker?.notifier?.isListening ?? false
  }

  /**
   * Starts the worker; resolves when jobs are being claimed. A second call returns the promise of the first; after a failure it tries
   * again.
   * @throws ConnectionTimeoutError, SchemaError; GoodJobError after a shutdown
   */
  start(): Promise<void> {
    if (this.#stopping) return Promise.reject(new GoodJobError('this capsule was shut down; restart() starts it again'))
    this.#starting ??= withProcess(this.processId, () => this.#start()).catch(async (error) => {
      await this.#abandonStart()
      this.#starting = undefined
      throw error
    })
    return this.#starting
  }

  /**
   * Stops claiming and waits for running jobs. `timeout` in seconds: -1 waits without limit, 0 aborts the jobs at once, N aborts them after
   * N seconds, null does not wait. Aborted jobs run again elsewhere as interrupted. @default the option shutdownTimeout
   */
  shutdown({ timeout }: { readonly timeout?: number | null } = {}): Promise<void> {
    this.#restarting = undefined
    return this.#stopOnce(timeout)
  }

  /**
   * Shuts down and starts again, with the same process id. Jobs that ignore their signal delay the start until they have ended, because
   * Node cannot kill them. A second call returns the promise of the first. GoodJob: Capsule#restart.
   * @throws ConfigurationError for a timeout of null; GoodJobError if `shutdown` is called meanwhile; the errors of `start`, after which
   * `restart` may be called again
   */
  restart({ timeout }: { readonly timeout?: number } = {}): Promise<void> {
    if (timeout === null)
      return Promise.reject(new ConfigurationError('restart: a timeout of null would not wait for the shutdown'))
    if (this.#restarting !== undefined) return this.#restarting
    const restarting: Promise<void> = this.#restart(timeout, () => this.#restarting === restarting).finally(() => {
      if (this.#restarting === restarting) this.#restarting = undefined
    })
    this.#restarting = restarting
    return restarting
  }

  async #restart(timeout: number | undefined, isWanted: () => boolean): Promise<void> {
    await this.#stopOnce(timeout)
    await this.#lastJobs
    if (!isWanted()) throw new GoodJobError('this capsule was shut down while it restarted')
    this.#starting = undefined
    this.#stopping = undefined
    this.#abort = new AbortController()
    this.#isStoppedCleanly = true
    this.#lastActivityMs = this.#clock.monotonic()
    this.#enter('created')
    await this.start()
  }

  #stopOnce(timeout: number | null | undefined): Promise<void> {
    const timeoutMs = timeout === undefined ? this.#durations.shutdownTimeoutMs : limitMs(timeout)
    this.#stopping ??= this.#shutdown(new Deadline(timeoutMs, this.#abort.signal))
    return timeout === null ? Promise.resolve() : this.#stopping
  }

  /** Aborts running jobs now, even during a shutdown that waits for them. */
  abort(): void {
    this.#abort.abort()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown()
  }

  /**
   * For a process that exits although a job ignores its signal: releases its jobs and removes the process row. Postgres keeps the advisory
   * locks until the process is gone, so no other worker runs the job at the same time. Call `process.exit` next.
   */
  async leave(): Promise<void> {
    if (this.activeJobIds.length === 0) return
    const removed = this.#database.statement((db) => removeProcess(db, this.processId))
    const isRemoved = await this.#deadline.allows(removed, { graceMs: STOP_GRACE_MS, patienceMs: LEAVE_MS })
    this.#isStoppedCleanly = isRemoved && this.#isStoppedCleanly
  }

  async #start(): Promise<void> {
    this.#enter('starting')
    this.#host.attach()
    if (this.#stop.signal.aborted) this.#stop = new AbortController()
    this.#worker = this.#build()
    await this.#worker.parts.start(this.#startContext())
    this.#enter('running')
  }

  /** One connect timeout for the whole start: a server may accept the pool's connection but refuse the next ones. */
  #startContext(): ReachOptions {
    const { processId } = this
    const timeoutMs = this.#durations.connectTimeoutMs
    return {
      timeoutMs,
      deadline: new Deadline(Math.max(timeoutMs, MIN_CONNECT_MS)),
      onRetry: (error, attempt) => events.emit('connection_retry', { processId, part: 'start', error, attempt }),
      signal: this.#stop.signal,
    }
  }

  #build(): RunningParts {
    const worker = buildParts({
      database: this.#database,
      processId: this.processId,
      configuration: this.configuration,
      durations: this.#durations,
      clock: this.#clock,
      logger: this.#host.logger,
      registry: this.registry,
      adapter: this.adapter,
      pools: this.#pools,
      stopping: this.#stop.signal,
      onActivity: () => {
        this.#lastActivityMs = this.#clock.monotonic()
      },
    })
    return { ...worker, parts: new Parts(this.processId, partList(worker)) }
  }

  async #shutdown(deadline: Deadline): Promise<void> {
    this.#deadline = deadline
    // A start that is still waiting for Postgres must end, too.
    this.#stop.abort()
    if (this.#state === 'running') this.#enter('stopping')
    await this.#starting?.catch(() => undefined)
    if (this.#state === 'stopped') return
    this.#enter('stopping')
    if (this.#worker) await this.#stopWorker(this.#worker, deadline)
    else await this.#database.close(CLOSE_POOL_MS)
    this.#enter('stopped')
  }

  async #stopWorker(worker: RunningParts, deadline: Deadline): Promise<void> {
    const { processId } = this
    events.emit('scheduler_shutdown_start', { processId })
    const { isClean, ended } = await shutDown(worker, processId, deadline)
    this.#isStoppedCleanly = isClean
    events.emit('scheduler_shutdown', { processId })
    // A job that ignores its signal is still a job of this worker.
    this.#lastJobs = ended.then(() => this.#host.detach())
  }

  async #abandonStart(): Promise<void> {
    this.#stop.abort()
    await this.#worker?.parts.stop(new Deadline(0))
    this.#host.detach()
    this.#worker = undefined
    this.#enter(this.#stopping ? 'stopped' : 'created')
  }

  /** The one place where the state changes. */
  #enter(state: CapsuleState): void {
    this.#state = state
  }
}
