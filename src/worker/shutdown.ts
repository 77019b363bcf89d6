import type { Deadline } from '../deadline.ts'
import { events } from '../events.ts'
import type { Parts } from './part.ts'

/** How long a shutdown may take beyond its timeout, whatever Postgres and the jobs are doing. */
export const STOP_GRACE_MS = 2_000

/**
 * How long each step may continue after the deadline, in the order of the stop: cron jobs that are being enqueued · claims in progress (their jobs do not begin) · jobs that
 * obey their signal · the end of LISTEN, of sweeps and cleanups · outcomes on their way to a Postgres that responds · closing the sessions.
 * The rest of `STOP_GRACE_MS` is for the process row and the connection pool.
 */
export const GRACE_MS = {
  cron: 250,
  claims: 300,
  jobs: 800,
  listener: 850,
  maintenance: 900,
  outcomes: 1_500,
  completer: 1_600,
  lanes: 1_700,
} as const

/** A part that waits for Postgres gets this long to close, also without a deadline. */
export const CLOSE_MS = 2_000
/** Limit for what remains after the last job that ignored its signal has ended, for example its outcome. */
const LATE_MS = 5_000

/** What the parts could not finish in time. */
export class Leftovers {
  areOutcomesWritten = true
  unwrittenOutcomes = 0
  isRowRemoved = true

  get isNone(): boolean {
    return this.areOutcomesWritten && this.isRowRemoved
  }
}

export interface Shutdown {
  /** Whether every outcome was written and the process row was removed, except for jobs that still run. */
  readonly isClean: boolean
  /** Resolves when jobs that ignore their signal have ended, and the parts that they need have stopped. */
  readonly ended: Promise<void>
}

/**
 * Stops all parts by one deadline. Node cannot kill a job that ignores its signal. Such a job keeps its lock and its process row until it
 * ends, so no other worker runs it meanwhile.
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
  // This limit begins when those jobs have ended.
  if (stopLater !== undefined) return { isClean, ended: stopLater(LATE_MS).then(report) }
  report()
  return { isClean, ended: Promise.resolve() }
}
