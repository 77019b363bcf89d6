import { setImmediate } from 'node:timers/promises'
import { events } from '../../events.ts'
import { backoffMs, sleep } from '../../time.ts'
import { ApartOutcomes } from './apart.ts'
import { HeldOutcomes } from './held.ts'
import type { Outcome } from './outcome.ts'
import { OutcomeWriter, type OutcomeWriterOptions, type Unwritten } from './writer.ts'

/** Outcomes in one flush, at most. It limits the size of a statement and the time for which batch locks are held. */
const MAX_FLUSH = 500

/** How long all outcomes may wait for a lock of another session, milliseconds; longer than any worker needs the lock. */
const LOCK_TIMEOUT_MS = 200

/** A statement that takes longer is cancelled and its outcomes are set apart: no other outcome waits for the check of a huge batch. */
const STATEMENT_TIMEOUT_MS = 15_000

/** A response that takes longer counts as a lost connection: with the limit above no statement takes that long. */
const ANSWER_TIMEOUT_MS = 30_000

/** The limit for statements that are known to take long, milliseconds. */
const LONG_ANSWER_TIMEOUT_MS = 3_600_000

/** How long held outcomes wait for one lock before the others are tried, milliseconds. */
const HELD_LOCK_TIMEOUT_MS = 500

/**
 * Up to this many outcomes set apart are no reason to claim less. Each keeps an advisory lock, and a server has room for a few
 * thousand.
 */
const APART_ALLOWANCE = 1_000

export interface CompleterOptions extends OutcomeWriterOptions {
  /** @default 15 seconds */
  readonly statementTimeoutMs?: number
  /** Called when outcomes were set apart and no longer count as a reason to claim less. */
  readonly onSetApart: () => void
}

/**
 * Writes the outcomes of attempts. Outcomes that arrive during a flush are written together by the next flush; a lone outcome is
 * written at once. While Postgres is unreachable the outcomes are kept and tried again. Outcomes that wait for another session's
 * lock, that Postgres refuses for any reason, or whose check takes long, are set apart, so that other outcomes need not wait.
 */
export class Completer {
  readonly hasStarted = true
  readonly #options: CompleterOptions
  readonly #writer: OutcomeWriter
  readonly #held: HeldOutcomes
  readonly #refused: ApartOutcomes
  readonly #failed: ApartOutcomes
  readonly #stopped = new AbortController()
  #pending: Outcome[] = []
  #flushing: readonly Outcome[] = []
  #loop: Promise<void> | undefined

  constructor(options: CompleterOptions) {
    this.#options = options
    const stopped = this.#stopped.signal
    const { processId, statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options
    const limits = { lockTimeoutMs: LOCK_TIMEOUT_MS, statementTimeoutMs, answerTimeoutMs: ANSWER_TIMEOUT_MS }
    const newWriter = (more: Partial<typeof limits> = {}) => new OutcomeWriter(options, { ...limits, ...more }, stopped)
    const common = { processId, maxWrite: MAX_FLUSH, stopped }
    this.#writer = newWriter()
    this.#held = new HeldOutcomes({
      ...common,
      newWriter: () => newWriter({ lockTimeoutMs: HELD_LOCK_TIMEOUT_MS }),
      passOn: (unwritten) => void this.#setApart({ ...unwritten, blocked: NONE_BLOCKED }),
    })
    this.#refused = new ApartOutcomes({
      ...common,
      newWriter,
      passOn: (unwritten) => void this.#setApart({ ...unwritten, refused: [] }),
      keeps: 'refused',
    })
    this.#failed = new ApartOutcomes({
      ...common,
      newWriter: () => newWriter({ statementTimeoutMs: 0, answerTimeoutMs: LONG_ANSWER_TIMEOUT_MS }),
      passOn: (unwritten) => void this.#setApart({ ...unwritten, failed: [] }),
      keeps: 'failed',
    })
  }

  /** Outcomes that are not committed yet; up to a thousand that are set apart are not counted. */
  get pendingCount(): number {
    const apart = this.#held.count + this.#refused.count + this.#failed.count
    return this.#pending.length + this.#flushing.length + Math.max(0, apart - APART_ALLOWANCE)
  }

  /** Whether Postgres is reachable, as far as the connection for outcomes knows. */
  get isConnected(): boolean {
    return this.#writer.isConnected
  }

  async connect(): Promise<void> {
    await this.#writer.connect()
  }

  complete(outcome: Outcome): void {
    this.#pending.push(outcome)
    this.#start()
  }

  #start(): void {
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined
      // An outcome that arrived after the last check of the list would wait for the next outcome, and none may follow.
      if (this.#pending.length > 0 && !this.#stopped.signal.aborted) this.#start()
    })
  }

  /** Resolves when every outcome handed in so far, and every outcome that follows meanwhile, is committed or dropped. */
  async drained(): Promise<void> {
    while (this.#loop) await this.#loop
    for (const apart of this.#apart) await apart.drained()
    // An outcome that one of them cannot write goes to another.
    const isLeft = this.#apart.some(({ count }) => count > 0)
    if (this.#loop || (isLeft && !this.#stopped.signal.aborted)) await this.drained()
  }

  /** Abandons the unwritten outcomes; their jobs will run again as interrupted. */
  async close(): Promise<void> {
    this.#stopped.abort()
    // A flush without a response ends when its connection does.
    await Promise.race([this.drained(), sleep(CLOSE_GRACE_MS)])
    await Promise.all([this.#writer.close(), ...this.#apart.map((apart) => apart.close())])
    await this.drained()
  }

  get #apart(): readonly (HeldOutcomes | ApartOutcomes)[] {
    return [this.#held, this.#refused, this.#failed]
  }

  /** Never rejects: otherwise no outcome of this process would be written any more. */
  async #run(): Promise<void> {
    let failures = 0
    // The jobs that end in this turn of the event loop are written together.
    await setImmediate()
    while (this.#pending.length > 0 && !this.#stopped.signal.aborted) {
      try {
        await this.#flush()
        failures = 0
      } catch (error) {
        failures += 1
        events.emit('worker_error', { processId: this.#options.processId, part: 'completer', error })
        // The fence recognizes the outcomes that were written.
        this.#pending.unshift(...this.#flushing)
        this.#flushing = []
        await sleep(backoffMs(failures), this.#stopped.signal)
      }
    }
  }

  async #flush(): Promise<void> {
    const next = this.#pending.splice(0, MAX_FLUSH)
    this.#flushing = next.filter((outcome) => !this.#held.joins(outcome) && !this.#failed.joins(outcome))
    const unwritten = await this.#writer.write(this.#flushing)
    // Nothing was written: the outcomes that have arrived since show whether the problem concerns all of them.
    if (!unwritten.isRefusedApart) this.#pending.push(...unwritten.refused)
    const isApart = this.#setApart(unwritten.isRefusedApart ? unwritten : { ...unwritten, refused: [] })
    const hasApart = isApart || this.#flushing.length < next.length
    this.#flushing = []
    if (hasApart) this.#options.onSetApart()
  }

  #setApart({ blocked, refused, failed }: Omit<Unwritten, 'isRefusedApart'>): boolean {
    this.#held.hold(blocked)
    this.#refused.keep(refused, { byBatch: false })
    this.#failed.keep(failed, { byBatch: true })
    return blocked.size + refused.length + failed.length > 0
  }
}

const NONE_BLOCKED: Unwritten['blocked'] = new Map()
const CLOSE_GRACE_MS = 1_000
