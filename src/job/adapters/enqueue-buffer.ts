import type { Job } from '../base.ts'
import type { CallerTransaction } from './queue-adapter.ts'

/**
 * Collects the jobs of a block, which are inserted together at the end of the block. Their events are emitted when they are stored.
 * GoodJob: Bulk::Buffer.
 */
export class EnqueueBuffer {
  /** The caller's transaction for the INSERT; undefined: our own. */
  readonly transaction: CallerTransaction | undefined
  readonly #jobs = new Set<Job>()
  readonly #announcements: ((error: unknown) => void)[] = []

  constructor(transaction: CallerTransaction | undefined) {
    this.transaction = transaction
  }

  get jobs(): Job[] {
    return [...this.#jobs]
  }

  add(job: Job): void {
    this.#jobs.add(job)
  }

  has(job: Job): boolean {
    return this.#jobs.has(job)
  }

  /** Registers `announce`: it is called when the jobs are stored, or with the error if they are not. */
  whenStored(announce: (error: unknown) => void): void {
    this.#announcements.push(announce)
  }

  /** Ends the block: its jobs were stored, or were not because of `error`. */
  settle(error?: unknown): void {
    if (error !== undefined) for (const job of this.#jobs) job.successfullyEnqueued = false
    for (const announce of this.#announcements.splice(0)) announce(error)
  }
}
