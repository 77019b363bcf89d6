import type { Job } from './base.ts'
import { enqueueMany, type PerformAllLaterOptions } from './enqueuing.ts'

/** Enqueues many jobs under their concurrency rules. GoodJob: GoodJob::Bulk. */
export class Bulk {
  /**
   * Enqueues jobs like `performAllLater`: with one statement per 1,000, without enqueue callbacks. It also checks their concurrency rules,
   * once for all jobs and in the order of the list. Resolves with the jobs. A refused job has `successfullyEnqueued` false, and an
   * `enqueueError`.
   * @throws EnqueueError if jobs with the same id exist already; the other jobs are stored
   */
  static async enqueue<T extends Job>(
    jobs: readonly (T | readonly T[])[],
    options: PerformAllLaterOptions = {},
  ): Promise<T[]> {
    return (await enqueueMany('Bulk.enqueue', jobs, { ...options, checksRules: true })) as T[]
  }
}
