import type { CheckOptions } from '../batch/completion/completion.ts'
import { checkOptionsOf } from '../batch/context.ts'
import { Lane } from '../claim/lane.ts'
import type { LaneOptions } from '../claim/lane-options.ts'
import type { QueuePool } from '../claim/queue-string.ts'
import { RoundLane } from '../claim/round-lane.ts'
import { throttleOf, type WorkerConcurrencyRule } from '../concurrency-option.ts'
import type { Configuration, Durations } from '../configuration.ts'
import type { CronManager } from '../cron/manager.ts'
import { events } from '../events.ts'
import { guarded } from '../guarded.ts'
import { keyScope, labelScope } from '../job/concurrency/scopes.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import type { Logger } from '../job/logger.ts'
import type { Adapter } from '../maintenance/adapter.ts'
import { CleanupTracker } from '../maintenance/cleanup.ts'
import { AttemptWatch } from '../perform/attempt/watch.ts'
import { DeferredStarts } from '../perform/deferred/starts.ts'
import { JobPerformer } from '../perform/job-performer.ts'
import { LimitEvents } from '../perform/limits/limit-events.ts'
import { PoolLimits, type PoolLimitsOptions } from '../perform/limits/pool-limits.ts'
import { RuleBook, type WorkerRule } from '../perform/limits/rule-book.ts'
import { Completer } from '../perform/outcome/completer.ts'
import type { Outcome } from '../perform/outcome/outcome.ts'
import { EagerStarts, type StartPolicy } from '../perform/start-policy.ts'
import { pgConnection } from '../sql/connection/pg-connection.ts'
import type { Database } from '../sql/database.ts'
import { threadConfig } from '../sql/threads/config.ts'
import type { Clock } from '../time.ts'
import { CapsuleTracker } from './capsule-tracker.ts'
import { buildCron } from './cron-part.ts'
import { Maintenance } from './maintenance.ts'
import { Notifier } from './notifier.ts'
import { Poller } from './poller.ts'
import { Pools } from './pool/pools.ts'
import { Scheduler, type SchedulerOptions } from './pool/scheduler.ts'
import { loadBatchesUntil, locateRecord } from './records.ts'
import { Leftovers } from './shutdown.ts'

/** The objects that a worker consists of; part-list.ts defines the order in which they start and stop. */
export interface CapsuleParts {
  readonly processId: string
  readonly database: Database
  readonly lanes: readonly Lane[]
  readonly completer: Completer
  readonly performer: JobPerformer
  readonly pools: Pools
  readonly notifier: Notifier | undefined
  /** Whether the worker finds jobs without notifications, too. */
  readonly isPolling: boolean
  readonly poller: Poller
  readonly tracker: CapsuleTracker
  readonly maintenance: Maintenance
  readonly watch: AttemptWatch
  readonly leftovers: Leftovers
  /** undefined: cron is off, or there are no entries. */
  readonly cron: CronManager | undefined
}

export interface PartsOptions {
  readonly database: Database
  readonly processId: string
  readonly configuration: Configuration
  readonly durations: Durations
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

/** How far ahead to search for scheduled jobs. New jobs announce themselves by NOTIFY; the next poll finds all others that became due. */
const HORIZON_WITH_LISTEN_MS = 60_000
/** Without polls, the worker searches this often for jobs that were not announced (rescheduled, or NOTIFY disabled). */
const HORIZON_WITHOUT_POLL_MS = 3_600_000

/** Builds and connects all parts; starts none. */
export const buildParts = (options: PartsOptions): CapsuleParts => {
  const { database, configuration, durations, registry, adapter, processId } = options
  const check = checkOptionsOf(adapter, registry)
  const pools = new Pools()
  const beforeJobs: (() => void)[] = []
  const completer = buildCompleter(options, check, pools)
  const maintenance = new Maintenance({ ...options, check })
  const book = buildRuleBook(options)
  const deferStartMs = book.countsAllJobs ? 0 : deferral(options)
  const { starts, newLane } = buildStarts(options, completer, deferStartMs)
  const performer = buildPerformer(options, { completer, starts, maintenance, pools }, beforeJobs)
  const lanes = buildLanes(options, newLane, performer, pools)
  const limitedLane = book.isEmpty || deferStartMs <= 0 ? undefined : buildLane(options, performer, pools)
  const limitEvents = new LimitEvents(options)
  for (const pool of options.pools) {
    const limits = book.isEmpty ? undefined : buildLimits(options, pool, { book, limitEvents })
    pools.register(buildScheduler(options, pool, { lanes, performer, limits, limitedLane }))
  }
  const watch = new AttemptWatch({ ...options, attempts: performer.attempts })
  const cron = buildCron(options)
  const tracker = buildTracker(options, performer, pools, cron)
  beforeJobs.push(
    () => tracker.startHeartbeat(),
    () => watch.watch(),
  )
  const notifier = configuration.enableListenNotify ? buildNotifier(options, pools) : undefined
  const wake = guarded(processId, 'poller', () => pools.wake())
  const poller = new Poller(durations.pollMs, wake)
  const isPolling = durations.pollMs > 0
  const leftovers = new Leftovers()
  const allLanes = limitedLane === undefined ? lanes : [...lanes, limitedLane]
  const built = { lanes: allLanes, completer, performer, pools, maintenance, notifier, watch, poller, tracker, cron }
  return { processId, database, isPolling, leftovers, ...built }
}

const buildCompleter = (options: PartsOptions, check: CheckOptions, pools: Pools): Completer => {
  const { database, processId, configuration } = options
  const keepsCreatedAt = configuration.dequeueQuerySort === 'scheduled_at'
  const notifies = configuration.enableListenNotify
  const onFreed = (outcomes: readonly Outcome[]) => pools.freePlacesOf(outcomes)
  const onSetApart = () => pools.resume()
  return new Completer({ database, processId, keepsCreatedAt, notifies, check, onFreed, onSetApart })
}

/** The policy for writing starts, and the kind of lane that it needs. */
interface Starts {
  readonly starts: StartPolicy
  readonly newLane: (options: LaneOptions) => Lane
}

const buildStarts = (options: PartsOptions, completer: Completer, deferStartMs: number): Starts => {
  if (deferStartMs <= 0) {
    return { starts: new EagerStarts({ ...options, completer }), newLane: (lane) => new Lane(lane, pgConnection) }
  }
  return {
    starts: new DeferredStarts({ ...options, completer }),
    newLane: (lane) => new RoundLane({ ...lane, deferStartMs }),
  }
}

const buildLanes = (
  options: PartsOptions,
  newLane: Starts['newLane'],
  performer: JobPerformer,
  pools: Pools,
): readonly Lane[] => {
  const lane = laneOptions(options, performer, pools)
  return Array.from({ length: options.configuration.lanes }, () => newLane(lane))
}

/** A lane whose claims write the start of each job. */
const buildLane = (options: PartsOptions, performer: JobPerformer, pools: Pools): Lane =>
  new Lane(laneOptions(options, performer, pools), pgConnection)

const laneOptions = (
  { database, configuration, processId }: PartsOptions,
  performer: JobPerformer,
  pools: Pools,
): LaneOptions => ({
  database,
  processId,
  sort: configuration.dequeueQuerySort,
  onClaimsLost: (jobIds) => performer.lose(jobIds),
  onReady: () => pools.wake(),
})

const workerRule = ({ label, key = '', performLimit, performThrottle }: WorkerConcurrencyRule): WorkerRule => ({
  ...(label === undefined ? { key } : { label }),
  scope: label === undefined ? keyScope(key) : labelScope(label),
  limit: performLimit ?? null,
  throttle: performThrottle ? throttleOf(performThrottle) : null,
})

const buildRuleBook = ({ registry, configuration, clock, adapter }: PartsOptions): RuleBook =>
  new RuleBook({
    registry,
    workerRules: configuration.concurrency.map(workerRule),
    railsVersion: configuration.railsVersion,
    clock,
    locate: (gid) => locateRecord(gid, adapter),
  })

const buildLimits = (
  { database, configuration, clock }: PartsOptions,
  pool: QueuePool,
  rules: Pick<PoolLimitsOptions, 'book' | 'limitEvents'>,
): PoolLimits =>
  new PoolLimits({
    ...rules,
    database,
    selector: pool.selector,
    sort: configuration.dequeueQuerySort,
    honoursPauses: configuration.enablePauses,
    clock,
  })

const buildTracker = (
  options: PartsOptions,
  performer: JobPerformer,
  pools: Pools,
  cron: CronManager | undefined,
): CapsuleTracker =>
  new CapsuleTracker({
    ...options,
    schedulers: () => pools.schedulers,
    attemptIds: () => [...performer.attempts.keys()],
    onReleased: () => pools.wake(),
    onClockJumped: () => {
      pools.wake()
      cron?.wake()
    },
  })

/** Deferred starts need a thread that can connect with the same settings as the lane. */
const deferral = ({ configuration, database, processId }: PartsOptions): number => {
  const { deferStart } = configuration
  const sent = deferStart > 0 ? threadConfig(database.sessionConfig('')) : undefined
  if (sent?.kind !== 'unsendable') return deferStart
  events.emit('thread_unavailable', { processId, part: 'deferred starts', reason: sent.reason })
  return 0
}

const buildPerformer = (
  options: PartsOptions,
  {
    completer,
    starts,
    maintenance,
    pools,
  }: Pick<CapsuleParts, 'completer' | 'maintenance' | 'pools'> & Pick<Starts, 'starts'>,
  beforeJobs: readonly (() => void)[],
): JobPerformer => {
  const { adapter, configuration, durations, clock, logger, processId, stopping, onActivity } = options
  const cleanup = new CleanupTracker({
    intervalJobs: configuration.cleanupIntervalJobs,
    intervalMs: durations.cleanupIntervalMs,
    clock,
  })
  return new JobPerformer({
    ...options,
    completer,
    starts,
    beforeJobs,
    worker: {
      processId,
      clock,
      logger,
      railsVersion: configuration.railsVersion,
      locate: (gid) => locateRecord(gid, adapter),
      paused: configuration.enablePauses ? () => adapter.paused() : undefined,
      isShuttingDown: () => stopping.aborted,
    },
    loadBatches: (ids, signal) => loadBatchesUntil(ids, adapter, processId, signal),
    onSettled: (outcome, as, unlocked) => {
      onActivity()
      pools.noteSettled(outcome, as)
      // The lane that holds the lock may claim the job at once; other lanes find it locked until the lock is released.
      if (configuration.lanes > 1) void unlocked.then(() => pools.noteSettled(outcome, as))
      if (cleanup.increment()) maintenance.cleanUp()
    },
  })
}

const buildScheduler = (
  { configuration, durations, processId, clock, adapter, registry }: PartsOptions,
  pool: QueuePool,
  parts: Pick<SchedulerOptions, 'lanes' | 'limitedLane' | 'limits' | 'performer'>,
): Scheduler => {
  const { dequeueQuerySort: sort, enableListenNotify, enablePauses } = configuration
  const pollMs = enableListenNotify ? Math.max(0, durations.pollMs) : 0
  const pollHorizonMs = enableListenNotify ? Math.max(HORIZON_WITH_LISTEN_MS, 2 * pollMs) : durations.pollMs
  const horizonMs = durations.pollMs > 0 ? pollHorizonMs : HORIZON_WITHOUT_POLL_MS
  const paused = enablePauses ? () => adapter.paused() : undefined
  return new Scheduler({ ...parts, pool, processId, clock, horizonMs, pollMs, sort, adapter, registry, paused })
}

const buildNotifier = ({ database, processId, durations }: PartsOptions, pools: Pools): Notifier =>
  new Notifier({
    database,
    processId,
    onMessage: guarded(processId, 'notifier', (message) => pools.notify(message)),
    onFreed: guarded(processId, 'notifier', ({ claimKeys }) => pools.free(claimKeys)),
    onConnected: guarded(processId, 'notifier', () => pools.wake()),
    isPolling: durations.pollMs > 0,
  })
