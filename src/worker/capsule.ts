import { randomUUID } from 'node:crypto'
import type { Pool } from 'pg'
import { parseQueueString } from '../claim/queue-string.ts'
import { type Configuration, type Options, resolveConfiguration } from '../configuration.ts'
import { GoodJobError, SchemaError } from '../errors.ts'
import { events } from '../events.ts'
import type { JobConstructor } from '../job/base.ts'
import { withProcess } from '../job/context.ts'
import { JobRegistry } from '../job/registry.ts'
import { Adapter } from '../maintenance/adapter.ts'
import { Database } from '../sql/database.ts'
import { removeProcess } from '../sql/processes.ts'
import { findVersion3Writer } from '../sql/schema-report.ts'
import { assertThreadFiles } from '../sql/thread-file.ts'
import { type Clock, sleep, systemClock } from '../time.ts'
import { buildParts, type CapsuleParts } from './capsule-parts.ts'
import { HostBindings, type HostOptions } from './host-bindings.ts'
import type { Scheduler } from './scheduler.ts'
import { shutDown } from './shutdown.ts'

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
/** For a Postgres that says nothing. */
const ABANDON_MS = 1_000
const LEAVE_MS = 5_000
/** Longer than between two beats: an idle worker keeps one connection instead of opening one each time. */
const POOL_IDLE_MS = 60_000

export type CapsuleState = 'created' | 'starting' | 'running' | 'stopping' | 'stopped'

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
  #parts: CapsuleParts | undefined
  #loops: Promise<unknown> = Promise.resolve()
  #state: CapsuleState = 'created'
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #stop = new AbortController()
  readonly #abort = new AbortController()
  #lastActivityMs: number
  #isStoppedCleanly = true

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
    return [...(this.#parts?.performer.attempts.keys() ?? [])]
  }

  /** Seconds since the last job ended, or since the start; 0 while one runs. */
  get idleSeconds(): number {
    if (this.#parts?.schedulers.some(({ activeThreads }) => activeThreads > 0)) return 0
    return (this.#clock.monotonic() - this.#lastActivityMs) / 1000
  }

  /** False after a shutdown that could not write every outcome or remove the process row, because Postgres did not answer. */
  get isStoppedCleanly(): boolean {
    return this.#isStoppedCleanly
  }

  get isListening(): boolean {
    return this.#parts?.notifier?.isListening ?? false
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
    this.#stopping ??= this.#shutdown(timeout)
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
    const removed = this.#database.statement((db) => removeProcess(db, this.processId)).then(() => true)
    this.#isStoppedCleanly = (await Promise.race([removed, sleep(LEAVE_MS)])) === true && this.#isStoppedCleanly
  }

  async #start(): Promise<void> {
    this.#state = 'starting'
    this.#host.attach()
    this.#database.reopen()
    if (this.#stop.signal.aborted) this.#stop = new AbortController()
    const untilReachable = this.#untilReachable()
    await untilReachable()
    await this.#database.facts()
    await this.#database.assertOneDatabase()
    const version3Writer = await findVersion3Writer(this.#database.pool)
    if (version3Writer !== undefined) throw new SchemaError(version3Writer)
    const parts = this.#build()
    this.#parts = parts
    await untilReachable(() => connectSessions(parts))
    await untilReachable(() => parts.tracker.start())
    await parts.notifier?.start()
    this.#loops = Promise.all(parts.schedulers.map((scheduler) => this.#runScheduler(scheduler)))
    parts.poller.start()
    parts.maintenance.start()
    this.#state = 'running'
  }

  /** Tries until the connect timeout of the whole start: a server may have room for the pool, but not for more. */
  #untilReachable(): (ask?: () => Promise<unknown>) => Promise<void> {
    const { processId } = this
    const timeoutMs = this.configuration.connectTimeout * 1000
    const deadline = performance.now() + timeoutMs
    return (ask) =>
      this.#database.waitUntilReachable({
        timeoutMs,
        deadline,
        onRetry: (error, attempt) => events.emit('connection_retry', { processId, part: 'start', error, attempt }),
        signal: this.#stop.signal,
        ...(ask ? { ask } : {}),
      })
  }

  #build(): CapsuleParts {
    return buildParts({
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
  }

  async #runScheduler(scheduler: Scheduler): Promise<void> {
    const { processId } = this
    const { name: queues, maxThreads } = scheduler.pool
    events.emit('scheduler_create_pool', { processId, queues, maxThreads })
    await scheduler.run(this.#stop.signal)
  }

  async #shutdown(timeout: number | null): Promise<void> {
    // Before the start has ended: it may be waiting for Postgres.
    this.#stop.abort()
    if (this.#state === 'running') this.#state = 'stopping'
    await this.#starting?.catch(() => undefined)
    if (this.#state === 'stopped') return
    this.#state = 'stopping'
    const parts = this.#parts
    if (parts) {
      events.emit('scheduler_shutdown_start', { processId: this.processId })
      const finish = () => this.#database.close()
      this.#isStoppedCleanly = await shutDown(parts, {
        processId: this.processId,
        timeout,
        loops: this.#loops,
        abort: this.#abort.signal,
        finish,
      })
      events.emit('scheduler_shutdown', { processId: this.processId })
      // A body that ignores its signal is still a job of this worker.
      void Promise.all(parts.schedulers.map((scheduler) => scheduler.idle())).then(() => this.#host.detach())
    } else {
      await this.#database.close()
    }
    this.#state = 'stopped'
  }

  async #abandonStart(): Promise<void> {
    this.#stop.abort()
    const parts = this.#parts
    await Promise.allSettled([
      parts?.notifier?.stop(),
      parts?.completer.close(),
      ...(parts?.lanes ?? []).map((lane) => lane.close()),
    ])
    const closed = this.#database.close()
    // A connection that is being opened to a host that says nothing would hold up a shutdown.
    await (this.#stopping ? Promise.race([closed, sleep(ABANDON_MS)]) : closed)
    this.#host.detach()
    this.#parts = undefined
    this.#state = this.#stopping ? 'stopped' : 'created'
  }
}

/** All of them have ended their try when this rejects. */
const connectSessions = async ({ completer, lanes }: CapsuleParts): Promise<void> => {
  const tries = await Promise.allSettled([completer, ...lanes].map((part) => part.connect()))
  for (const each of tries) if (each.status === 'rejected') throw each.reason
}
