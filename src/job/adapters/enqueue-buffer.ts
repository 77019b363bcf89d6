import type { Job } from '../base.ts'
import type { CallerTransaction } from './queue-adapter.ts'

/**
 * Takes the jobs of a block in place of the database; they are inserted together when the block has ended. What is told of them is told
 * when they are stored. GoodJob: Bulk::Buffer.
 */
export class EnqueueBuffer {
  /** The transaction that the jobs will be stored in; undefined: one of ours. */
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

  /** Calls `announce` when the jobs are stored, or with the error that kept them from it. */
  whenStored(announce: (error: unknown) => void): void {
    this.#announcements.push(announce)
  }

  /** The end of the block: its jobs are stored, or were not for this error. */
  settle(error?: unknown): void {
    if (error !== undefined) for (const job of this.#jobs) job.successfullyEnqueued = false
    for (const announce of this.#announcements.splice(0)) announce(error)
  }
}
