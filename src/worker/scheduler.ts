import type { Batch } from '../batch/batch.ts'
import { ClaimCursor } from '../claim/claim-cursor.ts'
import type { Lane } from '../claim/lane.ts'
import { answeredBeside } from '../claim/lane-patience.ts'
import { queuesOfNextClaim, type ServedQueues } from '../claim/named-queues.ts'
import { matchesQueue, type QueuePool } from '../claim/queue-string.ts'
import type { EnqueueAdapter } from '../enqueue/adapter.ts'
import { events } from '../events.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import type { Pauses } from '../job/pauses.ts'
import type { Attempt } from '../perform/attempt/attempt.ts'
import type { ExecutionResult } from '../perform/attempt/execution.ts'
import type { JobPerformer } from '../perform/job-performer.ts'
import type { CandidateOptions } from '../sql/claim/candidates.ts'
import { findNextScheduledAt } from '../sql/claim/claim.ts'
import { backoffMs, type Clock, sleep, timeAfter, Wake } from '../time.ts'

export interface SchedulerOptions {
  readonly pool: QueuePool
  /** The sessions that claim for this pool; one claim takes at most its share of the slots. */
  readonly lanes: readonly Lane[]
  readonly performer: JobPerformer
  readonly processId: string
  readonly clock: Clock
  /** How far ahead to search for scheduled jobs, milliseconds. */
  readonly horizonMs: number
  /** Pause between polls. A search ahead that would expire before the next poll is made with the current poll. */
  readonly pollMs: number
  /** The column that claims are sorted by. */
  readonly sort: CandidateOptions['sort']
  readonly adapter: EnqueueAdapter
  /** Reads the pauses; undefined when pauses are not honoured. */
  readonly paused: (() => Promise<Pauses>) | undefined
  readonly registry: JobRegistry
}

/** Outcomes per thread that may wait to be written before a pool stops claiming: a slow database slows the work down. */
const BACKLOG_PER_THREAD = 4
const MIN_BACKLOG = 200
/** Pause after a failed claim, milliseconds. */
const CLAIM_FAILURE_PAUSE_MS = 1_000

/** One pool of GoodJob's queue string: fills its free slots, then waits to be woken. GoodJob: Scheduler. */
export class Scheduler {
  readonly pool: QueuePool
  readonly stats = {
    succeeded: 0,
    errored: 0,
    empty: 0,
    executionAt: null as Date | null,
    checkQueueAt: null as Date | null,
  }
  readonly #options: SchedulerOptions
  readonly #wakes = new Map<Lane, Wake>()
  readonly #cursor: ClaimCursor
  readonly #servedQueues: ServedQueues
  /** Jobs whose `perform()` is running. */
  #running = 0
  #whenIdle: (() => void)[] = []
  /** Slots reserved by claims that are in progress. */
  #reservedSlots = 0
  #mayHaveWork = true
  /** Start times are truncated to the millisecond; by the end of that millisecond the job is due. */
  #nextStartMs = Number.POSITIVE_INFINITY
  #lookedUntilMs = 0

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.pool = options.pool
    this.#cursor = new ClaimCursor(options.sort)
    const { pool, adapter, paused, clock } = options
    this.#servedQueues = { selector: pool.selector, database: adapter.database, paused, clock }
    for (const lane of options.lanes) this.#wakes.set(lane, new Wake())
  }

  get activeThreads(): number {
    return this.#running
  }

  /** Reports that there may be work, now or from `startsAtMs` (epoch) on. A wake-up is never lost. */
  wake(startsAtMs = 0): void {
    if (startsAtMs > this.#options.clock.now().getTime()) {
      this.#nextStartMs = Math.min(this.#nextStartMs, startsAtMs + 1)
    } else {
      this.#mayHaveWork = true
      this.#cursor.wake()
    }
    this.#wakeLoops()
  }

  /** An outcome was written: a pool that waited for the backlog claims again. */
  resume(): void {
    if (this.#mayHaveWork) this.#wakeLoops()
  }

  /** Handles a notification: wakes the pool if it serves the queue. */
  notify(queueName: string | undefined, startsAtMs: number): void {
    if (matchesQueue(this.pool.selector, queueName)) this.wake(startsAtMs)
  }

  /**
   * Runs one loop per lane until `signal` aborts, without waiting for running jobs. An error in a loop is reported, and the loop continues.
   */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#wakes].map(([lane, wake]) => this.#serve(lane, wake, signal)))
  }

  async #serve(lane: Lane, wake: Wake, signal: AbortSignal): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      try {
        const isFailed = await this.#fillFreeSlots(lane, signal)
        await wake.wait(isFailed ? CLAIM_FAILURE_PAUSE_MS : this.#pauseMs(), signal)
        this.#passTime()
        failures = 0
      } catch (error) {
        failures += 1
        this.#mayHaveWork = true
        this.#report(error)
        await sleep(backoffMs(failures), signal)
      }
    }
  }

  #report(error: unknown): void {
    events.emit('worker_error', { processId: this.#options.processId, part: `pool ${this.pool.name}`, error })
  }

  #wakeLoops(): void {
    for (const wake of this.#wakes.values()) wake.wake()
  }

  /** Resolves when no job is running. */
  async idle(): Promise<void> {
    while (this.#running > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
  }

  async #fillFreeSlots(lane: Lane, signal: AbortSignal): Promise<boolean> {
    // A lane that is recovering wakes its loop when it is ready again; other lanes continue.
    while (!signal.aborted && lane.isReady && this.#mayHaveWork && this.#freeSlots() > 0) {
      this.#mayHaveWork = false
      try {
        const askedAt = this.#options.clock.now()
        this.stats.checkQueueAt = askedAt
        await this.#claim(lane)
        if (!this.#mayHaveWork) await this.#lookAhead(lane, askedAt)
      } catch (error) {
        events.emit('claim_failed', { processId: this.#options.processId, queues: this.pool.name, error })
        this.#mayHaveWork = true
        return true
      }
    }
    return false
  }

  async #claim(lane: Lane): Promise<void> {
    const { performer } = this.#options
    const selector = await queuesOfNextClaim(lane, this.#cursor, this.#servedQueues)
    let asked = 0
    const limit = () => {
      asked = this.#freeSlots()
      this.#reservedSlots += asked
      return asked
    }
    try {
      const { attempts, againInMs } = await performer.claim(lane, selector, limit, this.#cursor)
      this.#claimAgain(lane.isReady ? againInMs : 0)
      if (attempts.length === 0) this.stats.empty += 1
      else await this.#startAll(attempts)
    } finally {
      this.#reservedSlots -= asked
    }
  }

  /** There may be more jobs, also for other lanes. */
  #claimAgain(inMs: number | undefined): void {
    if (inMs === undefined) return
    if (inMs > 0) {
      this.#nextStartMs = Math.min(this.#nextStartMs, this.#options.clock.now().getTime() + inMs)
      return
    }
    this.#mayHaveWork = true
    this.#wakeLoops()
  }

  #freeSlots(): number {
    const backlog = Math.max(MIN_BACKLOG, this.pool.maxThreads * BACKLOG_PER_THREAD)
    if (this.#options.performer.pendingOutcomes >= backlog) return 0
    const free = this.pool.maxThreads - this.#running - this.#reservedSlots
    return Math.max(0, Math.min(free, Math.ceil(this.pool.maxThreads / this.#wakes.size)))
  }

  async #startAll(attempts: readonly Attempt[]): Promise<void> {
    const { performer, clock } = this.#options
    let batches: ReadonlyMap<string, Batch> = new Map()
    try {
      this.stats.executionAt = clock.now()
      batches = await performer.loadBatches(attempts)
    } catch (error) {
      // These jobs are claimed, so no other worker will run them: they start without their batches.
      this.#report(error)
    }
    for (const attempt of attempts) void this.#run(attempt, batches)
  }

  async #run(attempt: Attempt, batches: ReadonlyMap<string, Batch>): Promise<void> {
    this.#running += 1
    try {
      this.#count(await this.#options.performer.perform(attempt, batches))
    } finally {
      this.#running -= 1
      if (this.#running === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
      if (this.#mayHaveWork) this.#wakeLoops()
    }
  }

  #count(result: ExecutionResult): void {
    if (result.error === null) this.stats.succeeded += 1
    else this.stats.errored += 1
  }

  /** Finds the next start within the horizon. Jobs enqueued later announce themselves, or the next poll finds them. */
  async #lookAhead(lane: Lane, now: Date): Promise<void> {
    if (now.getTime() < this.#lookedUntilMs - this.#options.pollMs && !this.#isSetBack(now.getTime())) return
    await answeredBeside(lane, this.#findNextStart(now))
  }

  async #findNextStart(now: Date): Promise<void> {
    const until = timeAfter(now.getTime(), this.#options.horizonMs)
    const { adapter, registry } = this.#options
    const next = await findNextScheduledAt(adapter.database.pool, await adapter.database.facts(), {
      selector: this.pool.selector,
      jobClasses: registry.names(),
      from: now.toISOString(),
      to: until.toISOString(),
    })
    this.#lookedUntilMs = until.getTime()
    if (next !== null) this.#nextStartMs = Math.min(this.#nextStartMs, Date.parse(next) + 1)
  }

  #pauseMs(): number {
    const nextMs = Math.min(this.#nextStartMs, this.#lookedUntilMs || Number.POSITIVE_INFINITY)
    return Math.max(0, nextMs - this.#options.clock.now().getTime())
  }

  /** The clock was ahead at the last search, so starts between now and that time are unknown. */
  #isSetBack(now: number): boolean {
    return this.#lookedUntilMs - now > this.#options.horizonMs
  }

  /**
   * Marks that there may be work when a start time or the horizon has passed. A pool that is never idle may not have searched ahead yet.
   */
  #passTime(): void {
    const { clock } = this.#options
    const now = clock.now().getTime()
    if (now < this.#nextStartMs && now < this.#lookedUntilMs) return
    const isTime = now >= this.#nextStartMs || this.#lookedUntilMs > 0
    this.#nextStartMs = Number.POSITIVE_INFINITY
    this.#lookedUntilMs = 0
    this.#mayHaveWork = true
    if (isTime) this.#cursor.wake()
    else this.#cursor.passTime(clock.monotonic())
  }
}
