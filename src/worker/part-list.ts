import type { Deadline } from '../deadline.ts'
import { SchemaError } from '../errors.ts'
import { events } from '../events.ts'
import { mayPass, reach } from '../sql/connection/reach.ts'
import type { Database } from '../sql/database.ts'
import { findVersion3Writer } from '../sql/schema/report.ts'
import type { CapsuleParts } from './capsule-parts.ts'
import { cronPart } from './cron-part.ts'
import type { Notifier } from './notifier.ts'
import type { Part } from './part.ts'
import { CLOSE_MS, GRACE_MS, STOP_GRACE_MS } from './shutdown.ts'

/** Removing the process row may take longer than other steps: after that, the next worker may run its jobs at once. */
const PROCESS_ROW_MS = 5_000
/** Limit for connections of the pool that are still in use. */
const FINISH_MS = 500

/**
 * The parts of a worker in the order of their start. They stop in reverse order: the sources of work first, the process row last. So the
 * row exists as long as this process holds any job.
 */
export const partList = (worker: CapsuleParts): readonly Part[] => [
  connections(worker),
  processRow(worker),
  sessions(worker),
  attemptWatch(worker),
  maintenance(worker),
  ...(worker.notifier === undefined ? [] : [listener(worker.notifier, worker.isPolling)]),
  pools(worker),
  poller(worker),
  ...(worker.cron === undefined ? [] : [cronPart(worker.cron)]),
]

/** The pool, and the conditions that the database must meet before anything is written. */
const connections = ({ database, leftovers }: CapsuleParts): Part => ({
  name: 'connections',
  servesJobs: true,
  start: async (context) => {
    database.reopen()
    await reach(() => database.answers(), context)
    await reach(() => database.facts(), context)
    await reach(() => database.assertOneDatabase(context.signal), context)
    await reach(() => refuseVersion3(database), context)
  },
  stop: async (deadline) => {
    const closed = database.close(leftovers.isRowRemoved ? FINISH_MS : 0)
    await deadline.allows(closed, { graceMs: STOP_GRACE_MS, patienceMs: CLOSE_MS })
  },
})

const refuseVersion3 = async (database: Database): Promise<void> => {
  const version3Writer = await findVersion3Writer(database.pool)
  if (version3Writer !== undefined) throw new SchemaError(version3Writer)
}

/** Written before the first claim refers to it. */
const processRow = ({ tracker, leftovers }: CapsuleParts): Part => ({
  name: 'process row',
  servesJobs: true,
  start: (context) => reach(() => tracker.start(), context),
  stop: async (deadline) => {
    leftovers.isRowRemoved = false
    // Postgres did not respond to the outcomes in time, so it gets little time now.
    const patienceMs = leftovers.areOutcomesWritten ? PROCESS_ROW_MS : CLOSE_MS
    leftovers.isRowRemoved = await deadline.allows(tracker.stop(), { graceMs: STOP_GRACE_MS, patienceMs })
  },
})

/** The session of the completer and those of the lanes, which hold the advisory locks. */
const sessions = (worker: CapsuleParts): Part => ({
  name: 'sessions',
  servesJobs: true,
  start: (context) => reach(() => connectSessions(worker), context),
  stop: async (deadline) => {
    const { completer, lanes, performer, leftovers } = worker
    await writeOutcomes(worker, deadline)
    // All jobs have ended. Outcomes not written by now are abandoned: those jobs run again as interrupted.
    leftovers.unwrittenOutcomes = leftovers.areOutcomesWritten ? 0 : performer.attempts.size
    await deadline.allows(completer.close(), { graceMs: GRACE_MS.completer, patienceMs: CLOSE_MS })
    const closed = Promise.all(lanes.map((lane) => lane.close()))
    await deadline.allows(closed, { graceMs: GRACE_MS.lanes, patienceMs: CLOSE_MS })
  },
})

/** Waits for every attempt to connect before it rejects, if possible with an error that another attempt cannot fix. */
const connectSessions = async ({ completer, lanes }: CapsuleParts): Promise<void> => {
  const tries = await Promise.allSettled([completer, ...lanes].map((each) => each.connect()))
  const reasons = tries.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []))
  if (reasons.length > 0) throw reasons.find((reason) => !mayPass(reason)) ?? reasons[0]
}

const writeOutcomes = async ({ performer, leftovers }: CapsuleParts, deadline: Deadline): Promise<void> => {
  leftovers.areOutcomesWritten = await deadline.allows(performer.drained(), { graceMs: GRACE_MS.outcomes })
}

/** Starts by itself with the first job. */
const attemptWatch = ({ watch }: CapsuleParts): Part => ({
  name: 'attempt watch',
  servesJobs: true,
  start: async () => undefined,
  stop: async () => watch.stop(),
})

const maintenance = ({ maintenance: upkeep }: CapsuleParts): Part => ({
  name: 'maintenance',
  servesJobs: false,
  start: async () => upkeep.start(),
  stop: async (deadline) => {
    await deadline.allows(upkeep.stop(), { graceMs: GRACE_MS.maintenance, patienceMs: CLOSE_MS })
  },
})

/**
 * LISTEN is only a hint: a worker that polls starts without it, too. As in GoodJob, listening ends as soon as the worker begins to stop.
 */
const listener = (notifier: Notifier, isPolling: boolean): Part => {
  let stopping: Promise<void> | undefined
  const stop = () => {
    stopping ??= notifier.stop()
    return stopping
  }
  return {
    name: 'listener',
    servesJobs: false,
    start: async (context) => {
      const { deadline, signal } = context
      signal.addEventListener('abort', () => void stop().catch(() => undefined), { once: true })
      if (isPolling) await deadline.allows(notifier.start(), { signal })
      else await reach(() => notifier.start(), context)
    },
    stop: async (deadline) => {
      await deadline.allows(stop(), { graceMs: GRACE_MS.listener, patienceMs: CLOSE_MS })
    },
  }
}

/** The loops that claim, and the jobs that they run. The loops end when the signal of their start fires. */
const pools = (worker: CapsuleParts): Part => {
  const { pools: all, performer, processId } = worker
  let loops: Promise<void> = Promise.resolve()
  return {
    name: 'pools',
    servesJobs: true,
    start: async ({ signal }) => {
      loops = all.run(processId, signal)
    },
    stop: async (deadline) => {
      // A claim without a response ends when its lane is closed.
      const claimsNoMore = await deadline.allows(loops, { graceMs: GRACE_MS.claims })
      const isIdle = await deadline.allows(all.idle())
      if (!isIdle) {
        const activeJobIds = [...performer.attempts.keys()]
        events.emit('scheduler_shutdown_kill', { processId, activeJobIds })
      }
      if (!isIdle || !claimsNoMore) performer.abort()
      if (isIdle || (await deadline.allows(all.idle(), { graceMs: GRACE_MS.jobs }))) return
      await writeOutcomes(worker, deadline)
    },
    remainingJobs: () => (all.isIdle ? undefined : all.idle()),
  }
}

const poller = ({ poller: timer }: CapsuleParts): Part => ({
  name: 'poller',
  servesJobs: false,
  start: async () => timer.start(),
  stop: async () => timer.stop(),
})
