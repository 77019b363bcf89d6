import type { Batch } from '../../batch/batch.ts'
import type { Lane } from '../../claim/lane.ts'
import { queuesOfNextClaim, type ServedQueues } from '../../claim/named-queues.ts'
import { matchesQueue, type QueuePool } from '../../claim/queue-string.ts'
import { events } from '../../events.ts'
import type { Pauses } from '../../job/pauses.ts'
import type { Attempt } from '../../perform/attempt/attempt.ts'
import type { ExecutionResult } from '../../perform/attempt/execution.ts'
import type { JobPerformer } from '../../perform/job-performer.ts'
import type { PoolLimits } from '../../perform/limits/pool-limits.ts'
import type { Candidate } from '../../perform/limits/rule-book.ts'
import type { CandidateOptions } from '../../sql/claim/candidates.ts'
import { backoffMs, sleep, Wake } from '../../time.ts'
import { ClaimRecord } from './claim-record.ts'
import { ClaimStream } from './claim-stream.ts'
import { type ReservedSlots, Slots } from './slots.ts'
import { StartTimes, type StartTimesOptions } from './start-times.ts'

export interface SchedulerOptions extends Omit<StartTimesOptions, 'selector'> {
  readonly pool: QueuePool
  /** The sessions that claim for this pool; one claim takes at most its share of the slots. */
  readonly lanes: readonly Lane[]
  /** The session that claims the jobs with concurrency rules, if the other lanes leave them out. */
  readonly limitedLane?: Lane | undefined
  /** The concurrency limits of this pool; undefined if no job has rules. */
  readonly limits?: PoolLimits | undefined
  readonly performer: JobPerformer
  readonly processId: string
  /** The column that claims are sorted by. */
  readonly sort: CandidateOptions['sort']
  /** Reads the pauses; undefined when pauses are not honoured. */
  readonly paused: (() => Promise<Pauses>) | undefined
}

/** Outcomes per thread that may wait to be written before a pool stops claiming: a slow database slows the work down. */
const BACKLOG_PER_THREAD = 4
const MIN_BACKLOG = 200
/** Places that become free within this time are given by one admission, milliseconds. */
const GATHER_MS = 1
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
  readonly #streams: readonly ClaimStream[]
  readonly #startTimes: StartTimes
  readonly #servedQueues: ServedQueues
  readonly #slots: Slots
  readonly claims = new ClaimRecord()

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.pool = options.pool
    this.#slots = new Slots(options.pool.maxThreads)
    const kinds: readonly ClaimStream['limited'][] = options.limitedLane ? ['skip', 'only'] : ['read']
    this.#streams = kinds.map((limited) => new ClaimStream(options.sort, limited))
    this.#startTimes = new StartTimes({ ...options, selector: options.pool.selector })
    const { pool, adapter, paused, clock } = options
    this.#servedQueues = { selector: pool.selector, database: adapter.database, paused, clock }
    for (const lane of options.lanes) this.#wakes.set(lane, new Wake())
    if (options.limitedLane) this.#wakes.set(options.limitedLane, new Wake())
  }

  get activeThreads(): number {
    return this.#slots.running
  }

  /** Reports that there may be work, now or from `startsAtMs` (epoch) on. A wake-up is never lost. */
  wake(startsAtMs = 0): void {
    if (startsAtMs > this.#options.clock.now().getTime()) this.#startTimes.add(startsAtMs + 1)
    else this.#wakeStreams()
    this.#wakeLoops()
  }

  #wakeStreams(): void {
    for (const stream of this.#streams) stream.wake()
    this.#options.limits?.wake()
  }

  #streamOf(lane: Lane): ClaimStream {
    return this.#streams[lane === this.#options.limitedLane ? 1 : 0] as ClaimStream
  }

  /** Places in these scopes of concurrency rules may be free; undefined: in some scopes. */
  free(claimKeys: readonly string[] | undefined): void {
    if (this.#options.limits?.free(claimKeys)) this.#wakeLoops()
  }

  /** Whether a job of this pool may have concurrency rules. */
  get hasLimits(): boolean {
    return this.#options.limits !== undefined
  }

  /** An outcome was written: a pool that waited for the backlog claims again. */
  resume(): void {
    if (this.#mayHaveWork()) this.#wakeLoops()
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
        this.#streamOf(lane).mayHaveWork = true
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
  idle(): Promise<void> {
    return this.#slots.idle()
  }

  async #fillFreeSlots(lane: Lane, signal: AbortSignal): Promise<boolean> {
    const stream = this.#streamOf(lane)
    // A lane that is recovering wakes its loop when it is ready again; other lanes continue.
    while (!signal.aborted && lane.isReady && this.#hasWork(stream) && this.#freeSlots() > 0) {
      try {
        this.claims.begin(performance.now())
        const hasClaimed = await this.#claimOnce(lane, stream)
        this.claims.succeed()
        if (!hasClaimed) return false
      } catch (error) {
        events.emit('claim_failed', { processId: this.#options.processId, queues: this.pool.name, error })
        stream.mayHaveWork = true
        return true
      }
    }
    return false
  }

  /** Returns false if there was nothing to claim after all. */
  async #claimOnce(lane: Lane, stream: ClaimStream): Promise<boolean> {
    const askedAt = this.#options.clock.now()
    this.stats.checkQueueAt = askedAt
    if (this.hasLimits && (await this.#admitWaiting(lane, stream))) return true
    if (!stream.mayHaveWork) return false
    stream.mayHaveWork = false
    await this.#claim(lane, stream)
    if (!stream.mayHaveWork) await this.#startTimes.lookAhead(lane, askedAt)
    return true
  }

  async #claim(lane: Lane, stream: ClaimStream): Promise<void> {
    const { performer, limits } = this.#options
    const { cursor } = stream
    const selector = await queuesOfNextClaim(lane, cursor, this.#servedQueues)
    let slots: ReservedSlots | undefined
    const limit = () => {
      slots = this.#slots.reserve(this.#freeSlots())
      return slots.count
    }
    try {
      const pool = { selector, cursor, limits, limited: stream.limited }
      const { attempts, limited, againInMs } = await performer.claim(lane, pool, limit)
      this.#claimAgain(stream, lane.isReady ? againInMs : 0)
      if (attempts.length + limited.length === 0) this.stats.empty += 1
      await this.#startAll(attempts)
      if (limits && limited.length > 0) await this.#admit(lane, limits, limited)
    } finally {
      slots?.release()
    }
  }

  #mayHaveWork(): boolean {
    return this.#streams.some((stream) => this.#hasWork(stream))
  }

  #hasWork({ mayHaveWork, limited }: ClaimStream): boolean {
    return mayHaveWork || (limited !== 'skip' && (this.#options.limits?.hasFree ?? false))
  }

  /**
   * Starts jobs that waited for a place, before the jobs behind them are claimed. Returns whether there were any. A claim at the head
   * finds them in the order of all jobs.
   */
  async #admitWaiting(lane: Lane, stream: ClaimStream): Promise<boolean> {
    const { performer, limits, clock } = this.#options
    if (stream.limited === 'skip' || !limits?.hasFree || !(await limits.refresh())) return false
    if (stream.cursor.isAtHead(clock.monotonic())) {
      stream.mayHaveWork = true
      return false
    }
    await sleep(GATHER_MS)
    const slots = this.#slots.reserve(this.#freeSlots())
    try {
      const candidates = await performer.nextWaiting(limits, slots.count, stream)
      if (candidates.length > 0) await this.#admit(lane, limits, candidates)
      return candidates.length > 0
    } finally {
      slots.release()
    }
  }

  /** Starts those that have a place; the others wait. */
  async #admit(lane: Lane, limits: PoolLimits, candidates: readonly Candidate[]): Promise<void> {
    await this.#startAll(await this.#options.performer.admit(lane, limits, candidates))
  }

  /** There may be more jobs, also for other lanes. */
  #claimAgain(stream: ClaimStream, inMs: number | undefined): void {
    if (inMs === undefined) return
    if (inMs > 0) {
      this.#startTimes.add(this.#options.clock.now().getTime() + inMs)
      return
    }
    stream.mayHaveWork = true
    this.#wakeLoops()
  }

  #freeSlots(): number {
    const backlog = Math.max(MIN_BACKLOG, this.pool.maxThreads * BACKLOG_PER_THREAD)
    if (this.#options.performer.pendingOutcomes >= backlog) return 0
    return Math.min(this.#slots.free, Math.ceil(this.pool.maxThreads / this.#options.lanes.length))
  }

  async #startAll(attempts: readonly Attempt[]): Promise<void> {
    if (attempts.length === 0) return
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
    this.#slots.begin()
    try {
      this.#count(await this.#options.performer.perform(attempt, batches))
    } finally {
      this.#slots.end()
      if (this.#mayHaveWork()) this.#wakeLoops()
    }
  }

  #count(result: ExecutionResult): void {
    if (result.error === null) this.stats.succeeded += 1
    else this.stats.errored += 1
  }

  #pauseMs(): number {
    const { limits, clock } = this.#options
    const checkMs = limits === undefined ? Number.POSITIVE_INFINITY : limits.nextCheckMs - clock.now().getTime()
    return Math.max(0, Math.min(this.#startTimes.pauseMs, checkMs))
  }

  #passTime(): void {
    const passed = this.#startTimes.passTime()
    if (passed === 'due') this.#wakeStreams()
    if (passed !== 'unknown') return
    for (const stream of this.#streams) {
      stream.mayHaveWork = true
      stream.cursor.passTime(this.#options.clock.monotonic())
    }
  }
}
