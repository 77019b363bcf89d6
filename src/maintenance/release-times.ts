/** GoodJob refreshes its row after 30 s and counts a process as dead after five minutes. */
export const HEARTBEAT_MS = 25_000

/** A process counts as dead only after minutes without a beat, so one cleanup every 50 seconds is enough. */
export const BEATS_PER_CLEANUP = 2

/**
 * Minimum time between the first and the last check of a silent owner. From GoodJob 4.22.1 on a live process writes its row again, under
 * its own id, within half a minute (process.rb#refresh). A process that is silent for five minutes counts as dead in every GoodJob.
 */
export const OWNER_SILENCE_MS = 300_000

/** A cleanup may just have ended, and another session may lock the rows while the next one runs. */
const TWO_CLEANUPS_MS = 2 * BEATS_PER_CLEANUP * HEARTBEAT_MS

/** A worker releases a job whose owner is gone within this time, in minutes. */
export const ORPHAN_MINUTES = Math.ceil(TWO_CLEANUPS_MS / 60_000)

/** The same for a job whose owner counts as gone because of its silence. */
export const SILENT_MINUTES = Math.ceil((OWNER_SILENCE_MS + TWO_CLEANUPS_MS) / 60_000)
