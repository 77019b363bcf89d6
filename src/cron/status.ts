import type { LastCronRun } from '../sql/cron/runs.ts'
import type { JobState } from '../sql/jobs/states.ts'
import type { CronEntry } from './entry.ts'
import { partOf } from './failure.ts'
import { isComputed } from './job.ts'
import type { EntryState } from './switches.ts'

/** The newest job of an entry, of whichever process. */
export interface CronRun {
  readonly jobId: string
  readonly cronAt: Date
  readonly state: JobState
  readonly error: string | null
}

/** An entry with its next occurrences and its last run. */
export interface CronEntryStatus extends EntryState {
  readonly key: string
  readonly description: string | null
  /** null if a function chooses the class. */
  readonly jobClass: string | null
  /** null if a function computes the schedule. */
  readonly cron: string | null
  /** null if a function computes the schedule. */
  readonly zone: string | null
  /** The next three instants, whether the entry is enabled or not; fewer if the schedule has no more. */
  readonly next: readonly Date[]
  /** What the schedule function threw. */
  readonly scheduleError: string | null
  readonly lastRun: CronRun | null
}

/** The part of a status that the entry itself knows. */
export const describeEntry = ({ key, options, text, zone }: CronEntry) => ({
  key,
  description: options.description ?? null,
  jobClass: classText(options.class),
  cron: text ?? null,
  zone: zone ?? null,
})

const classText = (jobClass: unknown): string | null => {
  if (typeof jobClass === 'string') return jobClass
  return isComputed(jobClass) ? null : (jobClass as { readonly jobClass: string }).jobClass
}

const SHOWN = 3

/** The next instants of an entry. A schedule function is called, as on the dashboard's page. */
export const nextOf = async (
  entry: CronEntry,
  now: Date,
  run: CronRun | null,
): Promise<Pick<CronEntryStatus, 'next' | 'scheduleError'>> => {
  try {
    return { next: await entry.upcoming(now, SHOWN, async () => run?.cronAt), scheduleError: null }
  } catch (error) {
    return { next: [], scheduleError: String(partOf(error).error) }
  }
}

export const runOf = (row: LastCronRun | undefined): CronRun | null =>
  row === undefined
    ? null
    : { jobId: row.id, cronAt: new Date(row.cron_at ?? row.created_at), state: row.state, error: row.error }
