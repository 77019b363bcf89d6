import { events } from '../events.ts'
import { sleep } from '../time.ts'
import type { CapsuleParts } from './capsule-parts.ts'

export interface ShutdownOptions {
  readonly processId: string
  /** Seconds; negative: without limit, 0: abort at once, null: as negative (the caller does not wait). */
  readonly timeout: number | null
  readonly loops: Promise<unknown>
  /** Cuts the waiting short. */
  readonly abort: AbortSignal
  /** Ends what the capsule owns beside its parts. */
  readonly finish: () => Promise<void>
}

/** Bodies that honour their signal get this long to end after it fired. */
const ABORT_GRACE_MS = 500
/** Outcomes on their way to a Postgres that is there get this long, whatever the timeout says: their bodies are done. */
const WRITE_GRACE_MS = 5_000
/** A part that waits for Postgres gets this long to close; a Postgres that says nothing must not hold up the end of a process. */
const CLOSE_MS = 2_000
/** The process row is worth more patience: without it the next worker has the jobs at once. */
const PROCESS_ROW_MS = 5_000

/**
 * Stops in GoodJob's order: listener, poller, pools; then the outcomes, the locks, the process row. Node cannot kill a body that
 * ignores its signal: such a body keeps its lock and its process row until it ends, so that nobody runs the job beside it.
 * Answers whether every outcome was written and the process row is gone, as far as that was to be expected by then.
 */
export const shutDown = async (parts: CapsuleParts, options: ShutdownOptions): Promise<boolean> => {
  const { poller, notifier, maintenance, performer } = parts
  const deadline = performance.now() + limitMsOf(options)
  poller.stop()
  await notifier?.stop()
  // A claim that nobody answers ends when its lane is closed.
  const claimsNoMore = await settles(options.loops, Math.max(ABORT_GRACE_MS, limitMsOf(options)), options.abort)
  const isIdle = await waitForBodies(parts, options)
  if (!isIdle) {
    const activeJobIds = [...performer.attempts.keys()]
    events.emit('scheduler_shutdown_kill', { processId: options.processId, activeJobIds })
  }
  if (!isIdle || !claimsNoMore) performer.abort()
  const isEnded = isIdle || (await settles(bodiesOf(parts), ABORT_GRACE_MS))
  await settles(maintenance.stop(), CLOSE_MS)
  if (isEnded) return closeAll(parts, options, deadline)
  const remaining = bodiesOf(parts).then(() => closeAll(parts, options, deadline))
  remaining.catch((error) => events.emit('worker_error', { processId: options.processId, part: 'shutdown', error }))
  return lastOutcomesWritten(parts)
}

const bodiesOf = ({ schedulers }: CapsuleParts): Promise<unknown> =>
  Promise.all(schedulers.map((scheduler) => scheduler.idle()))

const waitForBodies = async (parts: CapsuleParts, { timeout, abort }: ShutdownOptions): Promise<boolean> => {
  if (timeout === 0) return settles(bodiesOf(parts), 0)
  return settles(bodiesOf(parts), limitMsOf({ timeout }), abort)
}

const limitMsOf = ({ timeout }: Pick<ShutdownOptions, 'timeout'>): number =>
  timeout === null || timeout < 0 ? Number.POSITIVE_INFINITY : timeout * 1000

const lastOutcomesWritten = ({ performer, completer }: CapsuleParts): Promise<boolean> =>
  settles(performer.drained(), completer.isConnected ? WRITE_GRACE_MS : ABORT_GRACE_MS)

/** Whether `work` ends within the limit and before `abort`. */
const settles = async (work: Promise<unknown>, limitMs: number, abort?: AbortSignal): Promise<boolean> => {
  const over = new AbortController()
  const signal = abort ? AbortSignal.any([abort, over.signal]) : over.signal
  const aborted = new Promise<false>((resolve) => {
    if (abort?.aborted) resolve(false)
    else signal.addEventListener('abort', () => resolve(false), { once: true })
  })
  const waits: Promise<boolean>[] = [work.then(() => true), aborted]
  if (Number.isFinite(limitMs)) waits.push(sleep(limitMs, signal).then(() => false))
  try {
    return await Promise.race(waits)
  } finally {
    over.abort()
  }
}

/** While Postgres is away, outcomes that the time does not suffice for are given up: their jobs run again as interrupted. */
const closeAll = async (
  parts: CapsuleParts,
  { processId, abort, finish }: ShutdownOptions,
  deadline: number,
): Promise<boolean> => {
  const { performer, completer, lanes, tracker, watch } = parts
  // A second signal ends the wait for a Postgres that is away, not the write of what has just ended.
  const isWritten =
    (await settles(performer.drained(), Math.max(0, deadline - performance.now()), abort)) ||
    (await lastOutcomesWritten(parts))
  const unwritten = performer.pendingOutcomes
  await settles(completer.close(), CLOSE_MS)
  watch.stop()
  await settles(Promise.all(lanes.map((lane) => lane.close())), CLOSE_MS)
  // One that had no answer for the outcomes has had its time.
  const isRemoved = await settles(tracker.stop(), isWritten ? PROCESS_ROW_MS : CLOSE_MS).catch((error) => {
    events.emit('worker_error', { processId, part: 'process row', error })
    return false
  })
  await settles(finish(), CLOSE_MS)
  if (isWritten && isRemoved) return true
  events.emit('scheduler_shutdown_incomplete', { processId, unwrittenOutcomes: isWritten ? 0 : unwritten, isRemoved })
  return false
}
