import { randomUUID } from 'node:crypto'
import type { Pool } from 'pg'
import { parseQueueString } from '../claim/queue-string.ts'
import { type Configuration, type Options, resolveConfiguration } from '../configuration.ts'
import { Deadline } from '../deadline.ts'
import { GoodJobError } from '../errors.ts'
import { events } from '../events.ts'
import type { JobConstructor } from '../job/base.ts'
import { withProcess } from '../job/context.ts'
import { JobRegistry } from '../job/definition/registry.ts'
import { Adapter } from '../maintenance/adapter.ts'
import type { ReachOptions } from '../sql/connection/reach.ts'
import { Database } from '../sql/database.ts'
import { removeProcess } from '../sql/process/processes.ts'
import { assertThreadFiles } from '../sql/threads/file.ts'
import { type Clock, systemClock } from '../time.ts'
import { buildParts, type CapsuleParts } from './capsule-parts.ts'
import { HostBindings, type HostOptions } from './host-bindings.ts'
import { Parts } from './part.ts'
import { partList } from './part-list.ts'
import { limitMs, STOP_GRACE_MS, shutDown } from './shutdown.ts'

export type CapsuleOptions = Options &
  HostOptions & {
    /** The job classes this worker runs; jobs of other classes are never claimed. */
    readonly jobs: readonly JobConstructor[]
    /** A pg pool of yours; it stays yours to end. */
    readonly pool?: Pool
    readonly clock?: Clock
  }

/** What a caller in JavaScript may forget; the refusal says what is missing. */
const NO_OPTIONS = {} as CapsuleOptions
/** For connections of a capsule that was never started. */
const CLOSE_POOL_MS = 500
const LEAVE_MS = 5_000
/** A server that is there gets this long to say so, also with a connect timeout of 0. */
const MIN_CONNECT_MS = 1_000
/** Longer than between two beats: an idle worker keeps one connection instead of opening one each time. */
const POOL_IDLE_MS = 60_000

/**
 * - `created`: Nothing runs, no connection of the worker is open. A start that fails comes back to here, and may be tried again.
 * - `starting`: The parts are being started, one after the other; nothing is claimed before LISTEN has begun or was put off.
 * - `running`: Every part has started; jobs are claimed.
 * - `stopping`: No job is claimed any more. The parts are being stopped, and running jobs have time until the deadline.
 * - `stopped`: The end, also for a capsule that was never started. A job that ignores its signal may still run, on the parts that it needs.
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
  readonly #database: Database
  readonly #clock: Clock
  readonly #host: HostBindings
  readonly #pools
  #worker: RunningParts | undefined
  #state: CapsuleState = 'created'
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #stop = new AbortController()
  readonly #abort = new AbortController()
  #lastActivityMs: number
  #isStoppedCleanly = true
  /** Of the shutdown. */
  #deadline = new Deadline(Number.POSITIVE_INFINITY)

  /** @throws ConfigurationError, QueueStringError for options that cannot work. */
  constructor({ jobs, pool, logger, logEvents, catchRejections, clock, ...options }: CapsuleOptions = NO_OPTIONS) {
    assertThreadFiles()
    this.registry.registerAll(jobs)
    this.configuration = resolveConfiguration(options)
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
    this.adapter = new Adapter({ ...options, database: this.#database, clock: this.#clock })
  }

  get state(): CapsuleState {
    return this.#state
  }

  /** Jobs whose bodies run now. */
  get activeJobIds(): string[] {
    return [...(this.#worker?.performer.attempts.keys() ?? [])]
  }

  /** Seconds since the last job ended, or since the start; 0 while one runs. */
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
   * Starts to work; resolves when jobs are being claimed. A second call answers the first one's promise, or tries again after a failure.
   * @throws ConnectionTimeoutError, SchemaError; GoodJobError after a shutdown
   */
  start(): Promise<void> {
    if (this.#stopping)
      return Promise.reject(new GoodJobError('this capsule was shut down; make a new one to start again'))
    this.#starting ??= withProcess(this.processId, () => this.#start()).catch(async (error) => {
      await this.#abandonStart()
      this.#starting = undefined
      throw error
    })
    return this.#starting
  }

  /**
   * Stops claiming and waits for running jobs: -1 without limit, 0 aborts them at once, N seconds then aborts, null does not wait.
   * Aborted jobs run again elsewhere as interrupted. @default the option shutdownTimeout
   */
  shutdown({ timeout = this.configuration.shutdownTimeout }: { readonly timeout?: number | null } = {}): Promise<void> {
    this.#stopping ??= this.#shutdown(new Deadline(limitMs(timeout), this.#abort.signal))
    return timeout === null ? Promise.resolve() : this.#stopping
  }

  /** Aborts running jobs now, also in the middle of a shutdown that waits for them. */
  abort(): void {
    this.#abort.abort()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown()
  }

  /**
   * For a process that ends although a body ignores its signal: frees the rows of this process. The advisory locks are held until
   * the process is gone, so nobody runs the job beside it. Call `process.exit` next.
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

  /** One connect timeout for the whole start: a server may have room for the pool, but not for more. */
  #startContext(): ReachOptions {
    const { processId } = this
    const timeoutMs = this.configuration.connectTimeout * 1000
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
    // Before the start has ended: it may be waiting for Postgres.
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
    void ended.then(() => this.#host.detach())
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
