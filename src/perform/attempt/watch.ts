import { GoodJobError } from '../../errors.ts'
import { events } from '../../events.ts'
import { guarded } from '../../guarded.ts'
import type { Database } from '../../sql/database.ts'
import { findWithdrawnClaims, type LostBy } from '../../sql/outcome/withdrawn.ts'
import { type Clock, every } from '../../time.ts'
import type { Attempt } from './attempt.ts'

export interface AttemptWatchOptions {
  readonly database: Database
  readonly processId: string
  readonly clock: Clock
  /** Attempts of this process, by job id. */
  readonly attempts: ReadonlyMap<string, Attempt>
}

/** A force-discard reaches the running job within `INTERVAL_MS + MIN_AGE_MS`, less than two seconds. */
const INTERVAL_MS = 1_000
/** A worker whose jobs run for less than this sends no query at all. */
const MIN_AGE_MS = 500

const WHAT: Readonly<Record<LostBy, string>> = {
  finished: 'was finished by another session while it ran, e.g. force-discarded',
  deleted: 'was deleted while it ran',
  released: 'was released by another session while it ran; it may run elsewhere',
}

/**
 * Aborts long-running jobs that no longer belong to this process: another session force-discarded the job, deleted its row, or
 * cleared its lock. One statement a second for all of them; without attempts there is not even a timer.
 */
export class AttemptWatch {
  readonly #options: AttemptWatchOptions
  #timer: NodeJS.Timeout | undefined
  #checking: Promise<void> | undefined
  #isStopped = false

  constructor(options: AttemptWatchOptions) {
    this.#options = options
  }

  /** Call it after adding attempts. */
  watch(): void {
    if (this.#isStopped || this.#timer !== undefined) return
    this.#timer = every(
      INTERVAL_MS,
      guarded(this.#options.processId, 'attempt watch', () => this.#check()),
    ).unref()
  }

  stop(): void {
    this.#isStopped = true
    this.#rest()
  }

  #rest(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #check(): void {
    if (this.#options.attempts.size === 0) this.#rest()
    if (this.#checking) return
    const running = this.#longRunning()
    if (running.length === 0) return
    this.#checking = this.#stopWithdrawn(running)
      // Postgres is unreachable: the writes report that, and the next query follows in a second.
      .catch(() => this.#options.database.forgetFacts())
      .finally(() => {
        this.#checking = undefined
      })
  }

  #longRunning(): Attempt[] {
    const { attempts, clock } = this.#options
    const startedBefore = clock.monotonic() - MIN_AGE_MS
    return [...attempts.values()].filter(isWatched).filter(({ startedMs }) => startedMs <= startedBefore)
  }

  async #stopWithdrawn(running: readonly Attempt[]): Promise<void> {
    const { database, processId, attempts } = this.#options
    const byId = new Map(running.map((attempt) => [attempt.row.id, attempt]))
    const claims = running.map(({ row, claimedAt }) => ({ id: row.id, lockedAt: claimedAt }))
    const withdrawn = await findWithdrawnClaims(database.pool, await database.facts(), processId, claims)
    for (const { id, lost_by: lostBy } of withdrawn) {
      const attempt = byId.get(id)
      // The attempt may have ended, and the row may show its own outcome.
      if (attempt !== undefined && attempts.get(id) === attempt && isWatched(attempt)) this.#stop(attempt, lostBy)
    }
  }

  #stop(attempt: Attempt, lostBy: LostBy): void {
    const { id, job_class: jobClass, queue_name: queueName, executions_count: executions } = attempt.row
    const reason = new GoodJobError(`job ${id} ${WHAT[lostBy]}`)
    if (lostBy === 'released' && attempt.state === 'lost') return
    if (lostBy === 'released') attempt.lose(reason)
    else attempt.withdraw(reason)
    const { processId } = this.#options
    events.emit('job_withdrawn', { jobId: id, jobClass, queueName, executions, processId, lostBy })
  }
}

/** The row of a job in an open round has no lock columns, as if it had been released. */
const isWatched = ({ state, hasEnded, taker }: Attempt): boolean =>
  !hasEnded && state !== 'withdrawn' && taker.hasStarted
