import type { Configuration } from '../configuration.ts'
import { isRefusal } from '../errors.ts'
import { events } from '../events.ts'
import { guarded } from '../guarded.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import { BEATS_PER_CLEANUP, HEARTBEAT_MS } from '../maintenance/release-times.ts'
import { releaseUnknownClaims } from '../sql/claim/claim.ts'
import type { Database, Facts } from '../sql/database.ts'
import { releaseDeadProcesses, releaseOrphans } from '../sql/process/dead.ts'
import { removeProcess, upsertProcess, upsertProcessText } from '../sql/process/processes.ts'
import { limitLockWaits } from '../sql/transaction/savepoint.ts'
import { type Clock, endsWithin, every } from '../time.ts'
import { Heartbeat } from './heartbeat.ts'
import type { Scheduler } from './pool/scheduler.ts'
import { processState } from './process-state.ts'
import { SilentOwners } from './watch/silent-owners.ts'
import { StallWatch } from './watch/stall-watch.ts'
import { UnservedWatch } from './watch/unserved-watch.ts'

export interface CapsuleTrackerOptions {
  readonly database: Database
  readonly processId: string
  readonly configuration: Configuration
  readonly clock: Clock
  readonly registry: JobRegistry
  readonly schedulers: () => readonly Scheduler[]
  /** Ids of every attempt of this process. */
  readonly attemptIds: () => readonly string[]
  /** Jobs were released: claim again. */
  readonly onReleased: () => void
  /** Jobs and cron entries may be due by the changed clock. */
  readonly onClockJumped: () => void
}

/** How long a beat waits for a lock on the process row. */
const BEAT_LOCK_TIMEOUT_MS = 1_000
/** A claim that no attempt knows after this time was lost with its connection. */
const UNKNOWN_CLAIM_MS = 60_000

/** At the end of the process: how long to wait for a running cleanup, and for a running beat. */
const CLEANING_MS = 300
const BEATING_MS = 1_000

/** Maintains the process row and its heartbeat, and releases what dead processes left behind. GoodJob: CapsuleTracker and Process. */
export class CapsuleTracker {
  readonly #options: CapsuleTrackerOptions
  #heartbeat: Heartbeat | undefined
  #timer: NodeJS.Timeout | undefined
  #beats = 0
  readonly #stalls: StallWatch
  readonly #silentOwners = new SilentOwners()
  readonly #unserved: UnservedWatch
  #facts: Facts | undefined
  #cleaning: Promise<void> = Promise.resolve()
  #beating: Promise<void> = Promise.resolve()
  #state: 'created' | 'started' | 'stopped' = 'created'

  constructor(options: CapsuleTrackerOptions) {
    this.#options = options
    this.#stalls = new StallWatch(options)
    this.#unserved = new UnservedWatch(options)
  }

  /** Writes the row before the first claim refers to it, then keeps it fresh. */
  async start(): Promise<void> {
    const { database, processId } = this.#options
    this.#state = 'started'
    const facts = await database.facts()
    this.#facts = facts
    await this.#writeRow(facts)
    if (this.#isStopped) {
      // The start was abandoned while the statement ran.
      await database.statement((db) => removeProcess(db, processId))
      return
    }
    this.#heartbeat = new Heartbeat({
      config: database.clientConfig('GoodJob::Process'),
      statement: upsertProcessText(facts),
      processId,
      intervalMs: HEARTBEAT_MS,
      state: () => this.#stateText(),
    })
    this.#stalls.start()
    this.#timer = every(
      HEARTBEAT_MS,
      guarded(processId, 'process row', () => this.#beatAndCleanUp()),
    ).unref()
    this.cleanUp()
  }

  /** @throws what Postgres says; a row that it refused is not there to be removed */
  async #writeRow(facts: Facts): Promise<void> {
    const { database, processId } = this.#options
    try {
      await database.statement((db) => upsertProcess(db, facts, { id: processId, state: this.#stateText() }))
    } catch (error) {
      if (isRefusal(error) && !this.#isStopped) this.#state = 'created'
      throw error
    }
  }

  /** From now on a blocked event loop does not make other workers take this process for dead. Call this before the first job begins. */
  startHeartbeat(): void {
    this.#heartbeat?.start()
  }

  /**
   * Beats from the event loop while the thread is not running yet or cannot refresh the row. Otherwise other workers, and this worker's own
   * cleanup, would take the process for dead.
   */
  #beatAndCleanUp(): void {
    if (!this.#heartbeat?.isBeating) this.#beating = this.#beating.then(() => this.#beat())
    this.#beats += 1
    if (this.#beats % BEATS_PER_CLEANUP === 0) this.cleanUp()
  }

  /**
   * A beat does not wait for a running cleanup, not even while that cleanup reads the facts again: the cleanup may wait for locks of other
   * sessions.
   */
  async #beat(): Promise<void> {
    const facts = this.#facts
    if (this.#isStopped || facts === undefined) return
    const { database, processId } = this.#options
    try {
      await database.transaction(async (db) => {
        // Another session may hold a lock on the row, and the next cleanup waits for this beat.
        await limitLockWaits(db, BEAT_LOCK_TIMEOUT_MS)
        await upsertProcess(db, facts, { id: processId, state: this.#stateText() })
      })
    } catch (error) {
      events.emit('process_heartbeat_failed', {
        processId,
        error: error instanceof Error ? error.message : String(error),
      })
    }
  }

  /**
   * Releases jobs of dead processes and claims of this process that no attempt knows, then reports jobs that no worker runs. Failures are
   * reported; the next round tries again.
   */
  cleanUp(): void {
    this.#cleaning = Promise.all([this.#cleaning, this.#beating])
      .then(async () => {
        if (this.#isStopped) return
        await this.#release()
        await this.#unserved.check()
      })
      .catch((error) => {
        events.emit('worker_error', { processId: this.#options.processId, part: 'process cleanup', error })
      })
  }

  /** Ends the heartbeat and removes the row. */
  async stop(): Promise<void> {
    if (this.#state === 'created') return
    this.#state = 'stopped'
    clearInterval(this.#timer)
    this.#stalls.stop()
    // A cleanup that waits for another session's lock must not delay the removal of the row. A late beat would write the row again.
    await Promise.all([
      endsWithin(this.#cleaning, CLEANING_MS),
      endsWithin(this.#beating, BEATING_MS),
      this.#heartbeat?.stop(),
    ])
    const { database, processId } = this.#options
    await database.statement((db) => removeProcess(db, processId))
  }

  async #release(): Promise<void> {
    const { database, processId, clock, configuration, attemptIds, onReleased } = this.#options
    const now = clock.now().getTime()
    const before = new Date(now - UNKNOWN_CLAIM_MS).toISOString()
    const { ids, jobs, promotedKeys } = await database.transaction(async (db) => {
      // GoodJob's migrations run while workers are up: a new column is used from the next round on.
      database.forgetFacts()
      const facts = await database.facts(db)
      this.#facts = facts
      const promoter = { processId, now: clock.timestamp(), notifies: configuration.enableListenNotify }
      const dead = await releaseDeadProcesses(db, facts, promoter)
      const orphans = await releaseOrphans(db, facts, before)
      const silent = await this.#silentOwners.release(db, facts)
      const unknown = await releaseUnknownClaims(db, facts, {
        processId,
        knownIds: attemptIds(),
        claimedAt: [],
        claimedBefore: before,
      })
      return { ...dead, jobs: dead.jobs + orphans + silent + unknown }
    })
    if (ids.length > 0 || jobs > 0) events.emit('processes_released', { processId, ids, jobs })
    if (promotedKeys.length > 0) events.emit('concurrency_promoted', { processId, keys: promotedKeys })
    if (jobs > 0) onReleased()
  }

  get #isStopped(): boolean {
    return this.#state === 'stopped'
  }

  #stateText(): string {
    const { configuration, schedulers, database, registry } = this.#options
    const { totalCount, idleCount, options } = database.pool
    return processState(configuration, schedulers(), registry, { totalCount, idleCount, max: options.max })
  }
}
