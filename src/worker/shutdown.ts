import { Deadline } from '../deadline.ts'
import { events } from '../events.ts'
import type { CapsuleParts } from './capsule-parts.ts'

export interface ShutdownOptions {
  readonly processId: string
  /** Of everything; it comes at once when `abort` fires. */
  readonly deadline: Deadline
  readonly loops: Promise<unknown>
  /** Cuts the waiting short. */
  readonly abort: AbortSignal
  /** Ends what the capsule owns beside its parts; what is at something after `graceMs` is dropped. */
  readonly finish: (graceMs: number) => Promise<void>
}

/** What a shutdown may take beyond its timeout, whatever Postgres or the jobs are at. */
export const STOP_GRACE_MS = 2_000

/**
 * How long after the deadline each step may still take: claims on their way (their jobs do not begin any more) · bodies that honour their signal ·
 * outcomes on their way to a Postgres that is there · the goodbyes of connections. The rest is for the process row.
 */
const GRACE_MS = { claims: 300, bodies: 800, outcomes: 1_500, completer: 1_600, lanes: 1_700 }

/** A part that waits for Postgres gets this long to close, also where there is no deadline. */
const CLOSE_MS = 2_000
/** The process row is worth more patience: without it the next worker has the jobs at once. */
const PROCESS_ROW_MS = 5_000
/** For the outcomes of bodies that ended after the shutdown; nobody waits for them. */
const LATE_MS = 5_000

/** Milliseconds of a timeout in seconds; negative, or null because the caller does not wait: without limit. */
export const limitMs = (timeout: number | null): number =>
  timeout === null || timeout < 0 ? Number.POSITIVE_INFINITY : timeout * 1000

/**
 * Stops in GoodJob's order: listener, poller, pools; then the outcomes, the locks, the process row. Node cannot kill a body that
 * ignores its signal: such a body keeps its lock and its process row until it ends, so that nobody runs the job beside it.
 * Answers whether every outcome was written and the process row is gone, as far as that was to be expected by then.
 */
export const shutDown = async (parts: CapsuleParts, options: ShutdownOptions): Promise<boolean> => {
  const { poller, notifier, maintenance, performer } = parts
  const { deadline, processId } = options
  poller.stop()
  const unlistened = notifier?.stop()
  // A claim that nobody answers ends when its lane is closed.
  const claimsNoMore = await deadline.allows(options.loops, { graceMs: GRACE_MS.claims })
  const isIdle = await deadline.allows(bodiesOf(parts))
  if (!isIdle) {
    const activeJobIds = [...performer.attempts.keys()]
    events.emit('scheduler_shutdown_kill', { processId, activeJobIds })
  }
  if (!isIdle || !claimsNoMore) performer.abort()
  const isEnded = isIdle || (await deadline.allows(bodiesOf(parts), { graceMs: GRACE_MS.bodies }))
  const silenced = Promise.allSettled([unlistened, maintenance.stop()])
  if (isEnded) return closeAll(parts, options, silenced)
  // The time for what comes after the bodies begins when they have ended.
  const closeLate = () => closeAll(parts, { ...options, deadline: new Deadline(LATE_MS) }, silenced)
  const remaining = bodiesOf(parts).then(closeLate)
  remaining.catch((error) => events.emit('worker_error', { processId, part: 'shutdown', error }))
  return outcomesWritten(parts, deadline)
}

const bodiesOf = ({ schedulers }: CapsuleParts): Promise<unknown> =>
  Promise.all(schedulers.map((scheduler) => scheduler.idle()))

const outcomesWritten = ({ performer }: CapsuleParts, deadline: Deadline): Promise<boolean> =>
  deadline.allows(performer.drained(), { graceMs: GRACE_MS.outcomes })

/** Outcomes that the time does not suffice for, while Postgres is away or somebody holds a lock, are given up: their jobs run again as interrupted. */
const closeAll = async (
  parts: CapsuleParts,
  { processId, deadline, finish }: ShutdownOptions,
  silenced: Promise<unknown>,
): Promise<boolean> => {
  const { performer, completer, lanes, tracker, watch } = parts
  const isWritten = await outcomesWritten(parts, deadline)
  // All bodies have ended.
  const unwrittenOutcomes = isWritten ? 0 : performer.attempts.size
  watch.stop()
  const patienceMs = CLOSE_MS
  await deadline.allows(completer.close(), { graceMs: GRACE_MS.completer, patienceMs })
  const closed = Promise.all([silenced, ...lanes.map((lane) => lane.close())])
  await deadline.allows(closed, { graceMs: GRACE_MS.lanes, patienceMs })
  // One that had no answer for the outcomes has had its time.
  const rowPatienceMs = isWritten ? PROCESS_ROW_MS : CLOSE_MS
  const removed = deadline.allows(tracker.stop(), { graceMs: STOP_GRACE_MS, patienceMs: rowPatienceMs })
  const isRemoved = await removed.catch((error) => {
    events.emit('worker_error', { processId, part: 'process row', error })
    return false
  })
  await deadline.allows(finish(isRemoved ? FINISH_MS : 0), { graceMs: STOP_GRACE_MS, patienceMs })
  if (isWritten && isRemoved) return true
  events.emit('scheduler_shutdown_incomplete', { processId, unwrittenOutcomes, isRemoved })
  return false
}

/** For connections of the pool that others are using. */
const FINISH_MS = 500
