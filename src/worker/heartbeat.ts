import { Worker } from 'node:worker_threads'
import type { ClientConfig } from 'pg'
import { events } from '../events.ts'
import { after, every } from '../time.ts'

export interface HeartbeatOptions {
  readonly config: ClientConfig
  readonly processId: string
  readonly intervalMs: number
  readonly state: () => string
  /** The statement of a beat: $1 process id, $2 state. */
  readonly statement: string
}

type FromThread = { type: 'beat' } | { type: 'failed'; error: string } | { type: 'stopped' }

/**
 * Refreshes the process row from a thread, which beats on while the event loop is blocked. A thread takes 16 MB and 0.1 s of CPU, so
 * that it is started for the first job.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  #thread: Worker | undefined
  #timer: NodeJS.Timeout | undefined
  #lastBeatMs = 0
  #isStarted = false

  constructor(options: HeartbeatOptions) {
    this.#options = options
  }

  /** Starts the thread, once. It boots beside an event loop that is blocked from here on. */
  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#lastBeatMs = performance.now()
    const { config, processId, intervalMs, state, statement } = this.#options
    const thread = new Worker(new URL('../sql/heartbeat-thread.js', import.meta.url), {
      workerData: {
        config: { ...cloneable(config), query_timeout: intervalMs },
        statement,
        processId,
        state: state(),
        intervalMs,
      },
    })
    thread.on('message', (message: FromThread) => this.#receive(message))
    thread.on('error', (error) => this.#fail(error.message))
    thread.on('exit', () => {
      if (this.#thread === thread) this.#thread = undefined
    })
    thread.unref()
    this.#thread = thread
    // The thread writes the state that it was told last; a blocked event loop just tells it nothing new.
    this.#timer = every(intervalMs / 2, () => thread.postMessage({ type: 'state', state: state() })).unref()
  }

  /** Whether the thread does its work; it may be unable to connect, e.g. without a password that only a function knows. */
  get isBeating(): boolean {
    return this.#isStarted && performance.now() - this.#lastBeatMs < 2 * this.#options.intervalMs
  }

  async stop(): Promise<void> {
    const thread = this.#thread
    clearInterval(this.#timer)
    if (thread === undefined) return
    this.#thread = undefined
    const exited = new Promise<void>((resolve) => thread.once('exit', () => resolve()))
    thread.ref()
    thread.postMessage({ type: 'stop' })
    // A connection that hangs must not hold up the shutdown.
    const impatience = after(2_000, () => void thread.terminate())
    await exited
    clearTimeout(impatience)
  }

  #receive(message: FromThread): void {
    if (message.type === 'failed') this.#fail(message.error)
    if (message.type === 'beat') this.#lastBeatMs = performance.now()
  }

  #fail(error: string): void {
    events.emit('process_heartbeat_failed', { processId: this.#options.processId, error })
  }
}

/** A password function or a custom stream cannot be sent to a thread; the connection string and the plain options can. */
const cloneable = (config: ClientConfig): ClientConfig =>
  Object.fromEntries(Object.entries(config).filter(([, value]) => typeof value !== 'function')) as ClientConfig
