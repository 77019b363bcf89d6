import type { Deadline } from '../deadline.ts'
import { events } from '../events.ts'
import type { Parts } from './part.ts'

/** What a shutdown may take beyond its timeout, whatever Postgres or the jobs are at. */
export const STOP_GRACE_MS = 2_000

/**
 * How long after the deadline each step may still take, in the order of the stop: claims under way (their jobs do not begin any more) ·
 * jobs that obey their signal · the end of LISTEN, of sweeps and cleanups · outcomes on their way to a Postgres that answers · the ends of
 * sessions. The rest of `STOP_GRACE_MS` is for the process row and the pool of connections.
 */
export const GRACE_MS = {
  claims: 300,
  jobs: 800,
  listener: 850,
  maintenance: 900,
  outcomes: 1_500,
  completer: 1_600,
  lanes: 1_700,
} as const

/** A part that waits for Postgres gets this long to close, also where there is no deadline. */
export const CLOSE_MS = 2_000
/** For the outcomes of jobs that ended after the shutdown. */
const LATE_MS = 5_000

/** Milliseconds of a timeout in seconds; negative, or null because the caller does not wait: without limit. */
export const limitMs = (timeout: number | null): number =>
  timeout === null || timeout < 0 ? Number.POSITIVE_INFINITY : timeout * 1000

/** What a stop could not do in time; the parts note it. */
export class Leftovers {
  areOutcomesWritten = true
  unwrittenOutcomes = 0
  isRowRemoved = true

  get isNone(): boolean {
    return this.areOutcomesWritten && this.isRowRemoved
  }
}

export interface Shutdown {
  /** Whether every outcome was written and the process row is gone, as far as that was to be expected by then. */
  readonly isClean: boolean
  /** Resolves when also jobs that ignore their signal have ended, and the parts that they needed. */
  readonly ended: Promise<void>
}

/**
 * Stops all parts by one deadline. Node cannot kill a job that ignores its signal: such a job keeps its lock and its process row until it ends, so
 * that no other worker runs it meanwhile.
 */
export const shutDown = async (
  { parts, leftovers }: { readonly parts: Parts; readonly leftovers: Leftovers },
  processId: string,
  deadline: Deadline,
): Promise<Shutdown> => {
  const report = () => {
    if (leftovers.isNone) return
    const { unwrittenOutcomes, isRowRemoved: isRemoved } = leftovers
    events.emit('scheduler_shutdown_incomplete', { processId, unwrittenOutcomes, isRemoved })
  }
  const stopLater = await parts.stop(deadline)
  const isClean = leftovers.isNone
  // The time for what comes after the jobs begins when they have ended.
  if (stopLater !== undefined) return { isClean, ended: stopLater(LATE_MS).then(report) }
  report()
  return { isClean, ended: Promise.resolve() }
}
