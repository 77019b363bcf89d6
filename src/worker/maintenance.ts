import type { CheckOptions } from '../batch/completion/completion.ts'
import { SlowChecks } from '../batch/completion/slow-checks.ts'
import { sweepBatches } from '../batch/completion/sweep.ts'
import type { Configuration, Durations } from '../configuration.ts'
import { events } from '../events.ts'
import { guarded } from '../guarded.ts'
import { cleanupPreservedJobs } from '../maintenance/cleanup.ts'
import type { Database } from '../sql/database.ts'
import { type Clock, every } from '../time.ts'
import { SweepWatch } from './watch/sweep-watch.ts'

export interface MaintenanceOptions {
  readonly database: Database
  readonly processId: string
  readonly configuration: Configuration
  readonly durations: Durations
  readonly clock: Clock
  readonly check: CheckOptions
}

/** How far back the first sweep checks for success callbacks that Ruby enqueued wrongly before this worker started. */
const FIRST_LOOK_BACK_MS = 3_600_000

/** A batch end with a time before a sweep may be committed up to this long after it. */
const COMMIT_DELAY_MS = 10_000

/** The worker's tasks beside jobs: the batch sweep at an interval, the cleanup after enough jobs have ended. */
export class Maintenance {
  readonly #options: MaintenanceOptions
  readonly #stopped = new AbortController()
  readonly #watch: SweepWatch
  readonly #slow = new SlowChecks()
  /** Batches that ended before this time have been swept; milliseconds. */
  #sweptUntil: number
  #timer: NodeJS.Timeout | undefined
  #sweeping: Promise<void> | undefined
  /** The running sweep was already counted as missed because it took too long. */
  #isLate = false
  #cleaning: Promise<void> | undefined

  constructor(options: MaintenanceOptions) {
    this.#options = options
    this.#watch = new SweepWatch(options.processId)
    this.#sweptUntil = options.clock.now().getTime() - FIRST_LOOK_BACK_MS
  }

  start(): void {
    const intervalMs = this.#options.durations.batchSweepIntervalMs
    if (intervalMs <= 0) return
    const sweep = guarded(this.#options.processId, 'batch sweep', () => this.sweep())
    sweep()
    this.#timer = every(intervalMs, sweep).unref()
  }

  /** Begins a sweep, unless one is running. */
  sweep(): void {
    if (this.#sweeping) {
      this.#isLate = true
      this.#watch.missed({ reason: 'running' })
      return
    }
    this.#isLate = false
    const { database, processId, durations, check, clock } = this.#options
    const startedAt = clock.now().getTime()
    // The clock was ahead at the last sweep, so it is unknown which batches ended since.
    if (this.#sweptUntil > startedAt) this.#sweptUntil = startedAt - FIRST_LOOK_BACK_MS
    this.#sweeping = sweepBatches({
      database,
      check,
      processId,
      windowMs: durations.batchSweepWindowMs,
      graceMs: durations.batchSweepGraceMs,
      endedSince: new Date(this.#sweptUntil).toISOString(),
      slow: this.#slow,
      signal: this.#stopped.signal,
    })
      .then(
        ({ isDone, heldBy }) => {
          if (isDone) {
            this.#sweptUntil = startedAt - COMMIT_DELAY_MS
            this.#watch.done()
          } else if (!this.#isLate) this.#watch.missed({ reason: 'held', holder: heldBy })
        },
        (error) => {
          this.#report('batch sweep')(error)
          if (!this.#isLate) this.#watch.missed({ reason: 'failed', error })
        },
      )
      .finally(() => {
        this.#sweeping = undefined
      })
  }

  /** Begins a cleanup, unless one is running. */
  cleanUp(): void {
    const { database, configuration, clock } = this.#options
    this.#cleaning ??= cleanupPreservedJobs({
      database,
      clock,
      olderThanSeconds: configuration.cleanupPreservedJobsBeforeSecondsAgo,
      includesDiscarded: configuration.cleanupDiscardedJobs,
      signal: this.#stopped.signal,
    })
      .then(() => undefined, this.#report('cleanup'))
      .finally(() => {
        this.#cleaning = undefined
      })
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#stopped.abort()
    await Promise.all([this.#sweeping, this.#cleaning])
  }

  #report(part: string): (error: unknown) => void {
    return (error) => events.emit('worker_error', { processId: this.#options.processId, part, error })
  }
}
