import { events } from '../events.ts'
import { type FreedPlaces, parseFreed } from '../sql/concurrency/freed-message.ts'
import { listen, listeningConnection } from '../sql/connection/listen.ts'
import { Session } from '../sql/connection/session.ts'
import type { Database } from '../sql/database.ts'
import { backoffMs, endsWithin, every, sleep } from '../time.ts'

/** A parsed message from the channel `good_job`. */
export interface Message {
  readonly queueName: string | undefined
  /** Milliseconds since the epoch; 0: now. */
  readonly startsAtMs: number
}

export interface NotifierOptions {
  readonly database: Database
  readonly processId: string
  readonly onMessage: (message: Message) => void
  /** Other workers in Node have freed places of concurrency rules. */
  readonly onFreed: (freed: FreedPlaces) => void
  /** Listening began, or began again: messages may have been missed meanwhile. */
  readonly onConnected: () => void
  /** Whether the worker finds jobs without messages, too. */
  readonly isPolling: boolean
}

/** A silent connection is tested this often, as in GoodJob notifier.rb. */
const ALIVE_CHECK_MS = 10_000
/** The same for a worker that polls: until the test, polls find the jobs that the listener misses. */
const ALIVE_CHECK_BESIDE_POLLS_MS = 30_000
/** A worker that polls starts without listening when that takes longer than this. */
const HINT_MS = 5_000
/** GoodJob notifier.rb: CONNECTION_ERRORS_REPORTING_THRESHOLD. Here six failures take a few seconds. */
const TOLERATED_FAILURES = 6
/** Postgres refuses longer payloads. Any other text on the channel is not GoodJob's. */
const MAX_PAYLOAD = 8_000
/** A database-wide limit for idle sessions must not end a listener, which is idle by design. */
const SETTINGS = { idle_session_timeout: '0' }

/** LISTEN good_job. A message is only a hint: the poller finds the same jobs, later. GoodJob: Notifier. */
export class Notifier {
  readonly #options: NotifierOptions
  readonly #session: Session
  readonly #stopped = new AbortController()
  #aliveTimer: NodeJS.Timeout | undefined
  #trying: Promise<void> = Promise.resolve()
  #isListening = false
  /** Connections in a row that were lost before they proved to be alive. */
  #losses = 0
  /** Failed tries to listen since it last listened; no connection at all counts as many. */
  #failedTries = Number.POSITIVE_INFINITY
  #hasReportedPayload = false

  constructor(options: NotifierOptions) {
    this.#options = options
    this.#session = new Session({
      config: { ...options.database.sessionConfig('GoodJob::Notifier'), query_timeout: ALIVE_CHECK_MS },
      createConnection: (config) =>
        listeningConnection(config, {
          onPayload: (payload) => this.#receive(payload),
          onNodePayload: (payload) => this.#receiveFreed(payload),
        }),
      settings: SETTINGS,
      onLost: (error) => this.#lose(error),
    })
  }

  get isListening(): boolean {
    return this.#isListening
  }

  /** Whether it listens, or lost its connection so recently that a probe should not report it yet. */
  get isConnected(): boolean {
    return this.#isListening || (this.#failedTries < TOLERATED_FAILURES && !this.#stopped.signal.aborted)
  }

  /**
   * Begins to listen. For a worker that polls it resolves when the first try is over or takes too long, and more tries follow.
   * @throws the error of Postgres or the network, for a worker that does not poll
   */
  async start(): Promise<void> {
    const { isPolling } = this.#options
    this.#aliveTimer ??= every(isPolling ? ALIVE_CHECK_BESIDE_POLLS_MS : ALIVE_CHECK_MS, () =>
      this.#proveAlive(),
    ).unref()
    if (!isPolling) return this.#listen()
    const first = this.#listen()
    this.#trying = first.catch((error) => this.#tryAgain(error))
    const isOver = await endsWithin(
      first.catch(() => undefined),
      HINT_MS,
      this.#stopped.signal,
    )
    if (!isOver) this.#reportFailure(new Error(`no answer within ${HINT_MS / 1000} s`), 1)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    clearInterval(this.#aliveTimer)
    const wasListening = this.#isListening
    this.#isListening = false
    await this.#session.close()
    await this.#trying
    if (wasListening) events.emit('notifier_unlisten', { processId: this.#options.processId })
  }

  async #listen(): Promise<void> {
    await this.#session.connect()
    const { end } = this.#session
    try {
      await listen(this.#session)
      // The connection may be lost just as LISTEN completes, before `#lose` reacts to a loss.
      if (!this.#session.isConnected) throw new Error('the connection was lost as it began to listen')
    } catch (error) {
      this.#session.abandon(error as Error, end)
      throw error
    }
    if (this.#stopped.signal.aborted) return
    this.#isListening = true
    this.#failedTries = 0
    events.emit('notifier_listen', { processId: this.#options.processId })
    this.#options.onConnected()
  }

  async #tryAgain(error: unknown): Promise<void> {
    const { signal } = this.#stopped
    let last = error
    for (let tries = 1; !signal.aborted; tries++) {
      this.#failedTries += 1
      this.#reportFailure(last, tries)
      await sleep(backoffMs(tries), signal)
      if (signal.aborted) return
      try {
        return await this.#listen()
      } catch (failure) {
        last = failure
      }
    }
  }

  #lose(error: Error | undefined): void {
    if (!this.#isListening || this.#stopped.signal.aborted) return
    this.#isListening = false
    this.#losses += 1
    this.#trying = this.#trying.then(async () => {
      // A server may accept each connection and end it at once, so repeated losses need a pause.
      if (this.#losses > 1) await sleep(backoffMs(this.#losses - 1), this.#stopped.signal)
      if (this.#stopped.signal.aborted) return
      await this.#listen().catch((failure) => this.#tryAgain(failure ?? error))
    })
  }

  #proveAlive(): void {
    if (!this.#isListening) return
    const { end } = this.#session
    this.#session.proveAlive(ALIVE_CHECK_MS).then(
      () => {
        this.#losses = 0
      },
      (error) => this.#session.abandon(error as Error, end),
    )
  }

  #reportFailure(error: unknown, tries: number): void {
    if (this.#stopped.signal.aborted) return
    events.emit('notifier_listen_failed', { processId: this.#options.processId, error, attempt: tries })
  }

  #receiveFreed(text: string): void {
    const freed = parseFreed(text)
    if (freed && freed.processId !== this.#options.processId) this.#options.onFreed(freed)
  }

  #receive(text: string): void {
    this.#losses = 0
    events.emit('notifier_notified', { processId: this.#options.processId, payload: text.slice(0, MAX_PAYLOAD) })
    const message = parseMessage(text)
    if (message !== undefined) {
      this.#options.onMessage(message)
      return
    }
    if (!this.#hasReportedPayload)
      this.#reportError(new Error(`ignored a message that is not GoodJob's: ${text.slice(0, 100)}`))
    this.#hasReportedPayload = true
  }

  #reportError(error: unknown): void {
    if (this.#stopped.signal.aborted) return
    events.emit('notifier_notify_error', { processId: this.#options.processId, error })
  }
}

/** GoodJob scheduler.rb: a missing time, or one less than 10 ms ahead, means now. Numbers are epoch seconds. */
export const parseMessage = (text: string): Message | undefined => {
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch {
    return undefined
  }
  if (message === null) return { queueName: undefined, startsAtMs: 0 }
  if (typeof message !== 'object' || Array.isArray(message)) return undefined
  const { queue_name: queueName, scheduled_at: scheduledAt } = message as Record<string, unknown>
  const startsAtMs = startOf(scheduledAt)
  if (startsAtMs === undefined) return undefined
  return { queueName: typeof queueName === 'string' ? queueName : undefined, startsAtMs }
}

const startOf = (scheduledAt: unknown): number | undefined => {
  if (scheduledAt === undefined || scheduledAt === null) return 0
  const ms =
    typeof scheduledAt === 'number'
      ? scheduledAt * 1000
      : typeof scheduledAt === 'string'
        ? Date.parse(scheduledAt)
        : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}
