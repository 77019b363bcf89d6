import type { ClientConfig } from 'pg'
import { events } from '../events.ts'
import { guarded } from '../guarded.ts'
import { type SendableConfig, threadConfig } from '../sql/threads/config.ts'
import type { Threads } from '../sql/threads/messages.ts'
import { startThread, type Thread } from '../sql/threads/start.ts'
import { BEGIN } from '../sql/transaction/read-committed.ts'
import { after, backoffMs, every } from '../time.ts'

export interface HeartbeatOptions {
  readonly config: ClientConfig
  readonly processId: string
  readonly intervalMs: number
  readonly state: () => string
  /** The statement of a beat: $1 process id, $2 state. */
  readonly statement: string
}

/** How long a connected thread may take to close its connection, milliseconds. */
const IMPATIENCE_MS = 500

/**
 * Refreshes the process row from a thread, which continues while the event loop is blocked. A thread takes 16 MB and 0.1 s of CPU, so it is
 * started only for the first job. A thread that ends is replaced. Where no thread can run, the event loop must beat.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  #thread: Thread<'heartbeat-thread'> | undefined
  #stateTimer: NodeJS.Timeout | undefined
  #restartTimer: NodeJS.Timeout | undefined
  #lastBeatMs = Number.NEGATIVE_INFINITY
  #state: 'created' | 'started' | 'stopped' = 'created'
  /** Threads in a row that ended without a beat. */
  #failures = 0

  constructor(options: HeartbeatOptions) {
    this.#options = options
  }

  /** Starts the thread, once. The thread boots even if the event loop is blocked from now on. */
  start(): void {
    if (this.#state !== 'created') return
    this.#state = 'started'
    const { config, processId, intervalMs, state } = this.#options
    const sent = threadConfig({ ...config, query_timeout: intervalMs })
    if (sent.kind === 'unsendable') {
      events.emit('thread_unavailable', { processId, part: 'heartbeat', reason: sent.reason })
      return
    }
    this.#lastBeatMs = performance.now()
    this.#startThread(sent)
    // The thread writes the last state it received; while the event loop is blocked it receives no new one.
    const tell = guarded(processId, 'heartbeat', () => this.#thread?.postMessage({ type: 'state', state: state() }))
    this.#stateTimer = every(intervalMs / 2, tell).unref()
  }

  /** Whether the thread refreshes the row; it may be unable to connect. */
  get isBeating(): boolean {
    return performance.now() - this.#lastBeatMs < 2 * this.#options.intervalMs
  }

  async stop(): Promise<void> {
    const thread = this.#thread
    this.#state = 'stopped'
    clearInterval(this.#stateTimer)
    clearTimeout(this.#restartTimer)
    if (thread === undefined) return
    this.#thread = undefined
    const exited = new Promise<void>((resolve) => thread.once('exit', () => resolve()))
    thread.ref()
    thread.postMessage({ type: 'stop' })
    // A connection that hangs must not delay the shutdown.
    const impatience = after(IMPATIENCE_MS, () => void thread.terminate())
    await exited
    clearTimeout(impatience)
  }

  #startThread(connection: SendableConfig): void {
    const { processId, intervalMs, state, statement } = this.#options
    const thread = startThread('heartbeat-thread', {
      connection,
      data: { begin: BEGIN, statement, processId, state: state(), intervalMs },
      onMessage: (message) => this.#receive(message),
    })
    thread.on('error', (error) => this.#fail(error.message))
    thread.on('exit', (code) => {
      if (this.#thread !== thread) return
      this.#thread = undefined
      this.#failures += 1
      this.#fail(`the thread of the heartbeat ended with code ${code}; another one starts`)
      const restart = guarded(processId, 'heartbeat', () => this.#startThread(connection))
      this.#restartTimer = after(backoffMs(this.#failures), restart).unref()
    })
    this.#thread = thread
  }

  #receive(message: Threads['heartbeat-thread']['from']): void {
    if (message.type === 'failed') {
      this.#fail(message.error)
      return
    }
    this.#lastBeatMs = performance.now()
    this.#failures = 0
  }

  #fail(error: string): void {
    events.emit('process_heartbeat_failed', { processId: this.#options.processId, error })
  }
}
