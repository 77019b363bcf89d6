import { events } from '../events.ts'
import { backoffMs, sleep } from '../time.ts'
import { HeldOutcomes } from './held-outcomes.ts'
import type { CompletedAttempt } from './outcome.ts'
import { OutcomeWriter, type OutcomeWriterOptions } from './outcome-writer.ts'

/** Attempts in one flush, at most: bounds the size of a statement and the time for which batch locks are held. */
const MAX_FLUSH = 500

/** How long all outcomes may wait for a lock that somebody holds; longer than any worker needs it. */
const LOCK_TIMEOUT_MS = 200

/** How long the held ones wait for the same lock before they look at the other ones. */
const HELD_LOCK_TIMEOUT_MS = 500

/** Held outcomes that are no reason to claim less; each keeps its job's advisory lock, of which a server has some thousands. */
const HELD_ALLOWANCE = 1_000

export interface CompleterOptions extends OutcomeWriterOptions {
  /** Outcomes were set apart and are no reason to claim less any more. */
  readonly onHeld: () => void
}

/**
 * Writes the outcomes of attempts. Those that end while a flush is under way are written together by the next one; a lone
 * outcome is written at once. While Postgres is away the outcomes are kept and tried again; those that somebody's lock is in the
 * way of are held apart, so that the others need not wait.
 */
export class Completer {
  readonly hasStarted = true
  readonly #options: CompleterOptions
  readonly #writer: OutcomeWriter
  readonly #held: HeldOutcomes
  readonly #stopped = new AbortController()
  #pending: CompletedAttempt[] = []
  #flushing: readonly CompletedAttempt[] = []
  #loop: Promise<void> | undefined

  constructor(options: CompleterOptions) {
    this.#options = options
    const stopped = this.#stopped.signal
    this.#writer = new OutcomeWriter(options, { lockTimeoutMs: LOCK_TIMEOUT_MS, stopped })
    this.#held = new HeldOutcomes({
      processId: options.processId,
      newWriter: () => new OutcomeWriter(options, { lockTimeoutMs: HELD_LOCK_TIMEOUT_MS, stopped }),
      maxWrite: MAX_FLUSH,
      stopped,
    })
  }

  /** Outcomes that are not committed yet; up to a thousand held ones are not counted. */
  get pendingCount(): number {
    return this.#pending.length + this.#flushing.length + Math.max(0, this.#held.count - HELD_ALLOWANCE)
  }

  /** Whether Postgres is there, as far as the connection for outcomes knows. */
  get isConnected(): boolean {
    return this.#writer.isConnected
  }

  async connect(): Promise<void> {
    await this.#writer.connect()
  }

  complete(attempt: CompletedAttempt): void {
    this.#pending.push(attempt)
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined
    })
  }

  /** Resolves when everything handed in so far, and what follows meanwhile, is committed or dropped. */
  async drained(): Promise<void> {
    while (this.#loop) await this.#loop
    await this.#held.drained()
    if (this.#loop) await this.drained()
  }

  /** Gives up what is not written; the jobs will run again as interrupted. */
  async close(): Promise<void> {
    this.#stopped.abort()
    // A flush that nobody answers ends when its connection does.
    await Promise.race([this.drained(), sleep(CLOSE_GRACE_MS)])
    await Promise.all([this.#writer.close(), this.#held.close()])
    await this.drained()
  }

  /** Never rejects: without it no outcome of this process would be written any more. */
  async #run(): Promise<void> {
    let failures = 0
    while (this.#pending.length > 0 && !this.#stopped.signal.aborted) {
      try {
        await this.#flush()
        failures = 0
      } catch (error) {
        failures += 1
        events.emit('worker_error', { processId: this.#options.processId, part: 'completer', error })
        // Those that were written are known by their fence.
        this.#pending.unshift(...this.#flushing)
        this.#flushing = []
        await sleep(backoffMs(failures), this.#stopped.signal)
      }
    }
  }

  async #flush(): Promise<void> {
    const next = this.#pending.splice(0, MAX_FLUSH)
    this.#flushing = next.filter((attempt) => !this.#held.joins(attempt))
    const blocked = await this.#writer.write(this.#flushing)
    const hasHeld = blocked.size > 0 || this.#flushing.length < next.length
    this.#held.hold(blocked)
    this.#flushing = []
    if (hasHeld) this.#options.onHeld()
  }
}

const CLOSE_GRACE_MS = 1_000
