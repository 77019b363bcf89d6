import { events } from '../../events.ts'
import { sleep } from '../../time.ts'
import type { Outcome } from './outcome.ts'
import { NOTHING_UNWRITTEN, type OutcomeWriter, type Unwritten } from './writer.ts'

export interface ApartOutcomesOptions {
  readonly processId: string
  /** A separate writer: it pauses and takes long, so no other part may depend on it. */
  readonly newWriter: () => OutcomeWriter
  /** Outcomes in one write, at most. */
  readonly maxWrite: number
  readonly stopped: AbortSignal
  /** What is tried again here: refused outcomes together, failed ones in halves. */
  readonly keeps: 'refused' | 'failed'
  /** Takes outcomes that are unwritten for another reason. */
  readonly passOn: (unwritten: Unwritten) => void
}

const FAILURE_PAUSE_MS = 1_000

interface Group {
  /** All outcomes of this batch have the same problem; undefined: no batch. */
  readonly batchId: string | undefined
  readonly outcomes: Outcome[]
}

/**
 * Outcomes whose write fails, or takes so long, that other outcomes must not be written with them. Each group is tried again and
 * again by itself; a group that fails as a whole is halved. The connection exists only while there are such outcomes.
 */
export class ApartOutcomes {
  readonly #options: ApartOutcomesOptions
  #groups: Group[] = []
  #writing: Group | undefined
  #writer: OutcomeWriter | undefined
  #loop: Promise<void> | undefined

  constructor(options: ApartOutcomesOptions) {
    this.#options = options
  }

  get count(): number {
    return [...this.#groups, ...(this.#writing ? [this.#writing] : [])].reduce(
      (sum, group) => sum + group.outcomes.length,
      0,
    )
  }

  /** Takes an outcome if outcomes of its batch are here already. */
  joins(outcome: Outcome): boolean {
    const batchId = batchOf(outcome)
    if (batchId === undefined) return false
    const isHere = this.#writing?.batchId === batchId || this.#groups.some((group) => group.batchId === batchId)
    if (isHere) this.#add(batchId, [outcome])
    return isHere
  }

  /** Keeps outcomes; if their batch causes the problem, grouped by batch. */
  keep(outcomes: readonly Outcome[], { byBatch }: { readonly byBatch: boolean }): void {
    if (outcomes.length === 0) return
    for (const outcome of outcomes) this.#add(byBatch ? batchOf(outcome) : undefined, [outcome])
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

  #add(batchId: string | undefined, outcomes: readonly Outcome[]): void {
    const group = this.#groups.find((one) => one.batchId === batchId)
    if (group !== undefined) group.outcomes.push(...outcomes)
    // Checks of batches take long, so outcomes that need none go first.
    else if (batchId === undefined) this.#groups.unshift({ batchId, outcomes: [...outcomes] })
    else this.#groups.push({ batchId, outcomes: [...outcomes] })
  }

  #start(): void {
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined
      // Outcomes may have arrived while the connection was being closed.
      if (this.#groups.length > 0 && !this.#options.stopped.aborted) this.#start()
    })
  }

  async #run(): Promise<void> {
    const writer = this.#options.newWriter()
    this.#writer = writer
    try {
      while (this.#groups.length > 0 && !this.#options.stopped.aborted) await this.#turn(writer)
    } finally {
      await writer.close()
    }
  }

  async #turn(writer: OutcomeWriter): Promise<void> {
    const { maxWrite, keeps, passOn } = this.#options
    const group = this.#groups.shift()
    if (group === undefined) return
    const rest = group.outcomes.splice(maxWrite)
    if (rest.length > 0) this.#add(group.batchId, rest)
    this.#writing = group
    // No outcome may be lost, whatever throws.
    const unwritten = await writer.write(group.outcomes).catch((error) => this.#keep(group.outcomes, error))
    this.#writing = undefined
    if (keeps === 'refused' && unwritten.refused.length > 0) this.#add(group.batchId, unwritten.refused)
    if (keeps === 'failed') this.#addHalves(group.batchId, unwritten.failed)
    passOn(unwritten)
  }

  async #keep(outcomes: readonly Outcome[], error: unknown): Promise<Unwritten> {
    const { keeps, processId, stopped } = this.#options
    events.emit('worker_error', { processId, part: `${keeps} outcomes`, error })
    await sleep(FAILURE_PAUSE_MS, stopped)
    return { ...NOTHING_UNWRITTEN, [keeps]: outcomes }
  }

  #addHalves(batchId: string | undefined, failed: readonly Outcome[]): void {
    const middle = (failed.length + 1) >> 1
    for (const half of [failed.slice(0, middle), failed.slice(middle)]) {
      if (half.length > 0) this.#groups.push({ batchId, outcomes: [...half] })
    }
  }
}

const batchOf = ({ row }: Outcome): string | undefined => row.batch_id ?? row.batch_callback_id ?? undefined
