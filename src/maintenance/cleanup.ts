import { events } from '../events.ts'
import type { Database } from '../sql/database.ts'
import { deleteFinishedBatches, deleteFinishedJobs, deleteStaleClaims } from '../sql/jobs/cleanup.ts'
import { type Clock, timeAfter } from '../time.ts'

export interface CleanupOptions {
  readonly database: Database
  readonly clock: Clock
  /** Records that finished longer ago than this are deleted. */
  readonly olderThanSeconds: number
  readonly includesDiscarded: boolean
  readonly signal?: AbortSignal
  /** Called after each page. */
  readonly onProgress?: (counts: CleanupCounts) => void
}

export interface CleanupCounts {
  readonly destroyedJobsCount: number
  readonly destroyedExecutionsCount: number
  readonly destroyedBatchesCount: number
}

/** Deletes finished jobs, their executions, stale concurrency claims and finished batches. GoodJob: cleanup_preserved_jobs. */
export const cleanupPreservedJobs = async (options: CleanupOptions): Promise<CleanupCounts> => {
  const { database, clock, olderThanSeconds, includesDiscarded, signal, onProgress } = options
  const timestamp = timeAfter(clock.now().getTime(), -olderThanSeconds * 1000)
  const selection = { finishedBefore: timestamp.toISOString(), includesDiscarded }
  let counts = { destroyedJobsCount: 0, destroyedExecutionsCount: 0, destroyedBatchesCount: 0 }
  for (let page = { jobs: 1, executions: 0 }; page.jobs > 0 && !signal?.aborted; ) {
    page = await database.statement((db) => deleteFinishedJobs(db, selection))
    counts = {
      ...counts,
      destroyedJobsCount: counts.destroyedJobsCount + page.jobs,
      destroyedExecutionsCount: counts.destroyedExecutionsCount + page.executions,
    }
    onProgress?.(counts)
  }
  const facts = await database.facts()
  await database.statement((db) => deleteStaleClaims(db, facts))
  for (let deleted = 1; deleted > 0 && !signal?.aborted; ) {
    deleted = await database.statement((db) => deleteFinishedBatches(db, selection))
    counts = { ...counts, destroyedBatchesCount: counts.destroyedBatchesCount + deleted }
    onProgress?.(counts)
  }
  events.emit('cleanup_preserved_jobs', { timestamp, ...counts })
  return counts
}

/** Decides when a worker cleans up: after N jobs, or after N seconds. GoodJob: CleanupTracker. */
export class CleanupTracker {
  readonly #afterJobs: number
  readonly #afterMs: number
  readonly #clock: Clock
  #jobs = 0
  #lastMs: number

  /** 0 disables a trigger; -1 fires after each job. */
  constructor(options: { readonly intervalJobs: number; readonly intervalMs: number; readonly clock: Clock }) {
    this.#afterJobs = options.intervalJobs
    this.#afterMs = options.intervalMs
    this.#clock = options.clock
    this.#lastMs = options.clock.monotonic()
  }

  /** Counts a finished job. @returns true when a cleanup is due; counting then starts again */
  increment(): boolean {
    this.#jobs += 1
    const byJobs = this.#afterJobs !== 0 && this.#jobs > this.#afterJobs
    const byTime = this.#afterMs !== 0 && this.#clock.monotonic() - this.#lastMs > this.#afterMs
    if (!byJobs && !byTime) return false
    this.#jobs = 0
    this.#lastMs = this.#clock.monotonic()
    return true
  }
}
