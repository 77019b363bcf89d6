import { checkOptionsOf } from '../batch/context.ts'
import { Lane } from '../claim/lane.ts'
import type { QueuePool } from '../claim/queue-string.ts'
import type { Configuration } from '../configuration.ts'
import { events } from '../events.ts'
import { guarded } from '../guarded.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import type { Logger } from '../job/logger.ts'
import type { Adapter } from '../maintenance/adapter.ts'
import { CleanupTracker } from '../maintenance/cleanup.ts'
import { AttemptWatch } from '../perform/attempt/watch.ts'
import { JobPerformer, type SettledAttempt } from '../perform/job-performer.ts'
import { Completer } from '../perform/outcome/completer.ts'
import type { Database } from '../sql/database.ts'
import { threadConfig } from '../sql/threads/config.ts'
import type { Clock } from '../time.ts'
import { CapsuleTracker } from './capsule-tracker.ts'
import { Maintenance } from './maintenance.ts'
import { Notifier } from './notifier.ts'
import { Poller } from './poller.ts'
import { loadBatchesUntil, locateRecord } from './records.ts'
import { Scheduler } from './scheduler.ts'

/** The parts of a running capsule. */
export interface CapsuleParts {
  readonly lanes: readonly Lane[]
  readonly completer: Completer
  readonly performer: JobPerformer
  readonly schedulers: readonly Scheduler[]
  readonly notifier: Notifier | undefined
  readonly poller: Poller
  readonly tracker: CapsuleTracker
  readonly maintenance: Maintenance
  readonly watch: AttemptWatch
}

export interface PartsOptions {
  readonly database: Database
  readonly processId: string
  readonly configuration: Configuration
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: JobRegistry
  readonly adapter: Adapter
  readonly pools: readonly QueuePool[]
  /** Aborts when the capsule begins to shut down. */
  readonly stopping: AbortSignal
  /** An attempt was settled. */
  readonly onActivity: () => void
}

/** Jobs that announce themselves need no look ahead; of others the next poll finds those that are due. */
const HORIZON_WITH_LISTEN_MS = 60_000
/** Without polls, jobs that nobody announced (rescheduled, or NOTIFY switched off) are looked for this often. */
const HORIZON_WITHOUT_POLL_MS = 3_600_000

/** Builds and wires all parts; nothing is started. */
export const buildParts = (options: PartsOptions): CapsuleParts => {
  const { database, configuration, registry, adapter, processId } = options
  const check = checkOptionsOf(adapter, registry)
  const keepsCreatedAt = configuration.dequeueQuerySort === 'scheduled_at'
  const schedulers: Scheduler[] = []
  const onHeld = () => {
    for (const scheduler of schedulers) scheduler.resume()
  }
  const notifies = configuration.enableListenNotify
  const completer = new Completer({ database, processId, keepsCreatedAt, notifies, check, onHeld })
  const maintenance = new Maintenance({ ...options, check })
  const wakeAll = () => {
    for (const scheduler of schedulers) scheduler.wake()
  }
  const guard = () => {
    tracker.guard()
    watch.watch()
  }
  const performer = buildPerformer(options, { completer, maintenance, schedulers }, guard)
  const watch = new AttemptWatch({ ...options, attempts: performer.attempts })
  const tracker = new CapsuleTracker({
    ...options,
    schedulers: () => schedulers,
    attemptIds: () => [...performer.attempts.keys()],
    onReleased: wakeAll,
  })
  const deferStartMs = deferral(options)
  const onClaimsLost = (jobIds: readonly string[]) => performer.lose(jobIds)
  const lanes = Array.from(
    { length: configuration.lanes },
    () =>
      new Lane({
        database,
        processId,
        sort: configuration.dequeueQuerySort,
        deferStartMs,
        onClaimsLost,
        onReady: wakeAll,
      }),
  )
  for (const pool of options.pools) schedulers.push(buildScheduler(options, pool, lanes, performer))
  return {
    lanes,
    completer,
    performer,
    schedulers,
    maintenance,
    notifier: configuration.enableListenNotify ? buildNotifier(options, schedulers, wakeAll) : undefined,
    watch,
    poller: new Poller(configuration.pollInterval * 1000, guarded(processId, 'poller', wakeAll)),
    tracker,
  }
}

/** Rounds need a thread that connects as the lane would. */
const deferral = ({ configuration, database, processId }: PartsOptions): number => {
  const { deferStart } = configuration
  const sent = deferStart > 0 ? threadConfig(database.sessionConfig('')) : undefined
  if (sent?.kind !== 'unsendable') return deferStart
  events.emit('thread_unavailable', { processId, part: 'deferred starts', reason: sent.reason })
  return 0
}

const buildPerformer = (
  options: PartsOptions,
  parts: Pick<CapsuleParts, 'completer' | 'maintenance' | 'schedulers'>,
  guard: () => void,
): JobPerformer => {
  const { adapter, configuration, clock, processId, stopping, onActivity } = options
  const cleanup = new CleanupTracker({
    intervalJobs: configuration.cleanupIntervalJobs,
    intervalSeconds: configuration.cleanupIntervalSeconds,
    clock,
  })
  return new JobPerformer({
    ...options,
    completer: parts.completer,
    guard,
    locate: (gid) => locateRecord(gid, adapter),
    loadBatches: (ids, signal) => loadBatchesUntil(ids, adapter, processId, signal),
    isShuttingDown: () => stopping.aborted,
    paused: () => adapter.paused(),
    onSettled: (settled) => {
      onActivity()
      wakeForNextRun(parts.schedulers, settled)
      // The lane that holds the lock may claim at once; any other finds the job locked until then.
      if (configuration.lanes > 1) void settled.unlocked.then(() => wakeForNextRun(parts.schedulers, settled))
      if (cleanup.increment()) parts.maintenance.cleanUp()
    },
  })
}

/**
 * A job that runs again is known here without a notification; any other end may free a pool that waited for the backlog. What somebody else
 * made of a job while we held its lock may be that it waits again: a claim that was woken for it found it locked, so there has to be another.
 */
const wakeForNextRun = (schedulers: readonly Scheduler[], { as, result, write }: SettledAttempt): void => {
  const { reenqueue } = result
  for (const scheduler of schedulers) {
    if (as !== 'written' || write === 'rerun') scheduler.wake()
    else if (write === 'reenqueue') scheduler.notify(reenqueue?.queueName, reenqueue?.scheduledAt?.getTime() ?? 0)
    else scheduler.resume()
  }
}

const buildScheduler = (
  { configuration, processId, clock, adapter, registry }: PartsOptions,
  pool: QueuePool,
  lanes: readonly Lane[],
  performer: JobPerformer,
): Scheduler => {
  const { pollInterval, dequeueQuerySort: sort, enableListenNotify, enablePauses } = configuration
  const pollMs = enableListenNotify ? Math.max(0, pollInterval * 1000) : 0
  const pollHorizonMs = enableListenNotify ? Math.max(HORIZON_WITH_LISTEN_MS, 2 * pollMs) : pollInterval * 1000
  const horizonMs = pollInterval > 0 ? pollHorizonMs : HORIZON_WITHOUT_POLL_MS
  const paused = enablePauses ? () => adapter.paused() : undefined
  return new Scheduler({ pool, lanes, performer, processId, clock, horizonMs, pollMs, sort, adapter, registry, paused })
}

const buildNotifier = (
  { database, processId, configuration }: PartsOptions,
  schedulers: readonly Scheduler[],
  wakeAll: () => void,
): Notifier =>
  new Notifier({
    database,
    processId,
    onMessage: guarded(processId, 'notifier', ({ queueName, startsAtMs }) => {
      for (const scheduler of schedulers) scheduler.notify(queueName, startsAtMs)
    }),
    onConnected: guarded(processId, 'notifier', wakeAll),
    isPolling: configuration.pollInterval > 0,
  })
