import type { Pool } from 'pg'
import { WorkerProxy } from './proxy.ts'
import { type FleetWorker, type Strategy, startWorker, type WorkerEvent } from './worker-process.ts'

export interface FleetOptions {
  readonly databaseUrl: string
  readonly ledgerUrl: string
  /** The database, without faults on the way. */
  readonly pool: Pool
  readonly ledger: Pool
  readonly logFolder: string
  /** The compiled worker.ts. */
  readonly script: string
  readonly threads: number
}

/** A place in the fleet: a worker that dies there is replaced by one of the same kind. */
export interface Place {
  readonly strategy: Strategy
  readonly proxy: WorkerProxy
  worker: FleetWorker
}

/** Workers of both sides, each with a proxy of its own between it and Postgres. */
export class Fleet {
  readonly events = new Map<string, number>()
  /** Workers that ended without having been killed. */
  readonly deserters: string[] = []
  readonly #options: FleetOptions
  readonly #places: Place[] = []
  #started = 0
  #isStopping = false

  constructor(options: FleetOptions) {
    this.#options = options
  }

  get places(): readonly Place[] {
    return this.#places
  }

  /** Starts one worker for each strategy named, at the same time. */
  async start(strategies: readonly Strategy[]): Promise<void> {
    const started = strategies.map(async (strategy) => {
      const proxy = await WorkerProxy.start(this.#options.databaseUrl)
      this.#places.push({ strategy, proxy, worker: await this.#startWorker(strategy, proxy) })
    })
    await Promise.all(started)
  }

  /** kill -9, noted in the ledger just before. */
  async kill({ worker }: Place): Promise<void> {
    const { ledger } = this.#options
    await ledger.query('INSERT INTO fleet_deaths (worker) VALUES ($1)', [worker.plan.name])
    worker.signal('SIGKILL')
    await worker.exited
  }

  /** Lets the others treat an ended worker as dead, which they do after five minutes without a heartbeat. */
  async forget({ processId, plan }: FleetWorker): Promise<void> {
    const { pool, ledger } = this.#options
    await ledger.query('UPDATE fleet_deaths SET forgotten_at = clock_timestamp() WHERE worker = $1', [plan.name])
    await pool.query(AGE_PROCESS, [processId])
  }

  /** A new worker in the place of one that has ended. */
  async replace(place: Place): Promise<void> {
    place.worker = await this.#startWorker(place.strategy, place.proxy)
  }

  /** SIGTERM to these, and waits for their end. */
  async stop(places: readonly Place[] = this.#places): Promise<void> {
    this.#isStopping = true
    for (const { worker } of places) worker.signal('SIGTERM')
    await Promise.all(places.map(({ worker }) => worker.exited))
    this.#isStopping = false
  }

  /** Ends every process and connection at once. */
  async dispose(): Promise<void> {
    this.#isStopping = true
    for (const { worker, proxy } of this.#places) {
      worker.signal('SIGKILL')
      await worker.exited
      await proxy[Symbol.asyncDispose]()
    }
  }

  async #startWorker(strategy: Strategy, proxy: WorkerProxy): Promise<FleetWorker> {
    const { ledger, ledgerUrl, pool, threads, logFolder, script } = this.#options
    this.#started += 1
    const worker = await startWorker({
      name: `${strategy}-${this.#started}`,
      strategy,
      script,
      databaseUrl: proxy.url,
      ledgerUrl,
      pool,
      threads,
      logFolder,
      onEvent: (event) => this.#count(event),
    })
    await registerWorker(ledger, worker)
    void worker.exited.then(() => this.#noteEnd(worker))
    return worker
  }

  #count({ event, part }: WorkerEvent): void {
    const name = typeof part === 'string' ? `${event} ${part.replace(/ [0-9a-f-]{36}/, '')}` : event
    this.events.set(name, (this.events.get(name) ?? 0) + 1)
  }

  async #noteEnd({ plan: { name } }: FleetWorker): Promise<void> {
    if (this.#isStopping) return
    const { rowCount } = await this.#options.ledger.query('SELECT FROM fleet_deaths WHERE worker = $1', [name])
    if (rowCount === 0) this.deserters.push(name)
  }
}

/** Records in the ledger which process a worker is. */
export const registerWorker = async (ledger: Pool, { plan, side, processId }: FleetWorker): Promise<void> => {
  await ledger.query(REGISTER, [plan.name, side, plan.strategy, processId])
}

// $1 worker · $2 side · $3 strategy · $4 process id
const REGISTER = 'INSERT INTO fleet_workers (worker, side, strategy, process_id) VALUES ($1, $2, $3, $4)'

/** $1 process id */
const AGE_PROCESS = `UPDATE good_job_processes SET updated_at = updated_at - interval '10 minutes' WHERE id = $1`
