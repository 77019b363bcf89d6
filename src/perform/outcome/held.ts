import { events } from '../../events.ts'
import { sleep } from '../../time.ts'
import type { Blocker } from './blocked.ts'
import type { Outcome } from './outcome.ts'
import { type BlockedOutcomes, NOTHING_UNWRITTEN, type OutcomeWriter, type Unwritten } from './writer.ts'

export interface HeldOutcomesOptions {
  readonly processId: string
  /** A separate writer: it waits for locks, so no other part may depend on it. */
  readonly newWriter: () => OutcomeWriter
  /** Outcomes in one write, at most. */
  readonly maxWrite: number
  readonly stopped: AbortSignal
  /** Takes outcomes that are unwritten for a reason other than a lock. */
  readonly passOn: (unwritten: Unwritten) => void
}

/** Pause after a failure that is not caused by a lock. */
const FAILURE_PAUSE_MS = 1_000

/**
 * Outcomes whose batch or row another session has locked for long, by what is locked. They are written separately as soon as the
 * lock is free; the connection exists only while there are such outcomes.
 */
export class HeldOutcomes {
  readonly #options: HeldOutcomesOptions
  /** In the order of waiting. An entry stays while its outcomes are being written, because other outcomes may join it. */
  readonly #groups = new Map<Blocker, Outcome[]>()
  #writing = 0
  #writer: OutcomeWriter | undefined
  #loop: Promise<void> | undefined

  constructor(options: HeldOutcomesOptions) {
    this.#options = options
  }

  get count(): number {
    let count = this.#writing
    for (const group of this.#groups.values()) count += group.length
    return count
  }

  /** Takes an outcome if other outcomes wait for the lock of its batch already. */
  joins(outcome: Outcome): boolean {
    const { batch_id, batch_callback_id } = outcome.row
    const blocker = [batch_id, batch_callback_id].find((id) => id !== null && this.#groups.has(id))
    if (blocker == null) return false
    this.#groups.get(blocker)?.push(outcome)
    return true
  }

  hold(blocked: BlockedOutcomes): void {
    if (blocked.size === 0) return
    this.#add(blocked)
    this.#start()
  }

  /** Resolves when no outcome is left. */
  async drained(): Promise<void> {
    while (this.#loop) await this.#loop
  }

  /** Abandons the unwritten outcomes: ends the connection, even if it no longer responds. */
  async close(): Promise<void> {
    await this.#writer?.close()
  }

  #start(): void {
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined
      // Outcomes may have arrived while the connection was being closed.
      if (this.#groups.size > 0 && !this.#options.stopped.aborted) this.#start()
    })
  }

  #add(blocked: BlockedOutcomes): void {
    const { processId } = this.#options
    for (const [outcome, blocker] of blocked) {
      const group = this.#groups.get(blocker)
      if (group !== undefined) group.push(outcome)
      else {
        this.#groups.set(blocker, [outcome])
        events.emit('outcome_held', { processId, lockedId: blocker, jobId: outcome.row.id })
      }
    }
  }

  async #run(): Promise<void> {
    const writer = this.#options.newWriter()
    this.#writer = writer
    try {
      while (this.#groups.size > 0 && !this.#options.stopped.aborted) await this.#turn(writer)
    } finally {
      await writer.close()
    }
  }

  /** Writes the outcomes that are free by now; if none is, waits for a while for one of the locks, each in its turn. */
  async #turn(writer: OutcomeWriter): Promise<void> {
    const all = [...this.#groups.values()].flat()
    const blocked = await writer.findBlocked(all)
    const free = all.filter((outcome) => !blocked?.has(outcome))
    const [first = []] = this.#groups.values()
    const chosen = (free.length > 0 ? free : first).slice(0, this.#options.maxWrite)
    const { touched, blockers } = this.#take(new Set(chosen))
    this.#writing = chosen.length
    // No outcome may be lost: if the write throws, all of them are still held.
    const unwritten = await writer.write(chosen).catch((error) => this.#keep(blockers, error))
    const still = unwritten.blocked
    this.#writing = 0
    this.#options.passOn(unwritten)
    for (const [blocker, rest] of touched) {
      this.#groups.delete(blocker)
      if (rest.length > 0 || [...still.values()].includes(blocker)) this.#groups.set(blocker, rest)
    }
    this.#add(still)
  }

  async #keep(blocked: BlockedOutcomes, error: unknown): Promise<Unwritten> {
    events.emit('worker_error', { processId: this.#options.processId, part: 'held outcomes', error })
    await sleep(FAILURE_PAUSE_MS, this.#options.stopped)
    return { ...NOTHING_UNWRITTEN, blocked }
  }

  /** Takes these outcomes out of their groups; returns the rest of those groups, and the group that each outcome was in. */
  #take(chosen: ReadonlySet<Outcome>): {
    touched: Map<Blocker, Outcome[]>
    blockers: BlockedOutcomes
  } {
    const touched = new Map<Blocker, Outcome[]>()
    const blockers = new Map<Outcome, Blocker>()
    for (const [blocker, group] of this.#groups) {
      if (!group.some((outcome) => chosen.has(outcome))) continue
      const rest: Outcome[] = []
      for (const outcome of group) {
        if (chosen.has(outcome)) blockers.set(outcome, blocker)
        else rest.push(outcome)
      }
      this.#groups.set(blocker, rest)
      touched.set(blocker, rest)
    }
    return { touched, blockers }
  }
}
