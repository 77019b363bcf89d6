import type pgListenModule from 'pg-listen'
import type { Subscriber } from 'pg-listen'
import { events } from '../events.ts'
import type { Database } from '../sql/database.ts'
import { backoffMs, sleep } from '../time.ts'

/** A message on the channel `good_job`, as far as it could be read. */
export interface Message {
  readonly queueName: string | undefined
  /** Milliseconds since the epoch; 0: now. */
  readonly startsAtMs: number
}

export interface NotifierOptions {
  readonly database: Database
  readonly processId: string
  readonly onMessage: (message: Message) => void
  /** Listening began, or began again: messages may have been missed. */
  readonly onConnected: () => void
  /** Whether jobs are found without messages, too. */
  readonly isPolling: boolean
}

const CHANNEL = 'good_job'
/** GoodJob notifier.rb: a silent connection is tried at least this often. */
const ALIVE_CHECK_MS = 10_000
/** Polls find what a listener misses until then. */
const ALIVE_CHECK_BESIDE_POLLS_MS = 30_000
const CLOSE_GRACE_MS = 1_000
/** Postgres refuses longer ones; anything else on the channel is not ours. */
const MAX_PAYLOAD = 8_000

/** LISTEN good_job. A message is only a hint: the poller finds the same jobs, later. GoodJob: Notifier. */
export class Notifier {
  readonly #options: NotifierOptions
  readonly #stopped = new AbortController()
  #subscriber: Subscriber<Record<string, string>> | undefined
  #connecting: Promise<void> | undefined
  #isListening = false
  #hasReportedPayload = false

  constructor(options: NotifierOptions) {
    this.#options = options
  }

  get isListening(): boolean {
    return this.#isListening
  }

  /** Begins to listen; tries again in the background when the first connection fails. */
  async start(): Promise<void> {
    this.#connecting = this.#connect()
    await this.#connecting
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#connecting
    await Promise.race([this.#subscriber?.close().catch(() => undefined), sleep(CLOSE_GRACE_MS)])
    if (this.#isListening) events.emit('notifier_unlisten', { processId: this.#options.processId })
    this.#isListening = false
  }

  /** pg-listen reconnects by itself, but does not try its first connection again. */
  async #connect(): Promise<void> {
    // Loaded by those who listen only: what it needs cannot be bundled, and programs that enqueue may be.
    const { default: pgListen } = await import('pg-listen')
    for (let attempt = 1; !this.#stopped.signal.aborted; attempt++) {
      const subscriber = this.#subscribe(pgListen)
      try {
        await subscriber.connect()
        await subscriber.listenTo(CHANNEL)
        this.#subscriber = subscriber
        return this.#connected()
      } catch (error) {
        this.#reportError(error)
        await subscriber.close().catch(() => undefined)
        await sleep(backoffMs(attempt), this.#stopped.signal)
      }
    }
  }

  #subscribe(pgListen: typeof pgListenModule): Subscriber<Record<string, string>> {
    const config = { ...this.#options.database.sessionConfig('GoodJob::Notifier'), query_timeout: ALIVE_CHECK_MS }
    // A CommonJS module with a default export of its own.
    const subscriber = pgListen.default<Record<string, string>>(config, {
      // 0: never give up. The payload is parsed here, so that a bad one is not an error of the connection.
      retryTimeout: 0,
      // It goes on trying after its close; nothing but an error here ends that.
      retryInterval: (attempt) => {
        // pg-listen writes into the message of what is thrown here; that of an AbortError cannot be written.
        if (this.#stopped.signal.aborted) throw new Error('the notifier was stopped')
        return backoffMs(attempt + 1)
      },
      paranoidChecking: this.#options.isPolling ? ALIVE_CHECK_BESIDE_POLLS_MS : ALIVE_CHECK_MS,
      parse: (payload: string) => payload,
    })
    subscriber.events.on('error', (error) => this.#reportError(error))
    subscriber.events.on('reconnect', () => {
      this.#isListening = false
    })
    subscriber.events.on('connected', () => {
      if (this.#stopped.signal.aborted) void subscriber.close().catch(() => undefined)
      else if (this.#subscriber === subscriber) this.#connected()
    })
    subscriber.notifications.on(CHANNEL, (payload: unknown) => this.#receive(payload))
    return subscriber
  }

  #connected(): void {
    this.#isListening = true
    events.emit('notifier_listen', { processId: this.#options.processId })
    this.#options.onConnected()
  }

  #receive(payload: unknown): void {
    const text = typeof payload === 'string' ? payload : ''
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

/** GoodJob scheduler.rb: no time, or one that is less than 10 ms ahead, means now; numbers are epoch seconds. */
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
