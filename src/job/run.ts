import { DEFAULT_RAILS_VERSION, type RailsVersion } from '../serialize/rails-version.ts'
import type { GlobalID } from '../serialize/values/global-id.ts'
import { type Clock, systemClock } from '../time.ts'
import type { Job } from './base.ts'
import type { BatchReference } from './batch-reference.ts'
import { type Logger, silentLogger } from './logger.ts'
import type { Pauses, StoppingReason } from './pauses.ts'

/** What surrounds one run of a job: from the worker for an attempt, DETACHED_RUN for `performNow`. */
export interface JobRun {
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly clock: Clock
  readonly railsVersion: RailsVersion
  readonly batch: BatchReference | null
  /** Start of an earlier attempt that never reported back. */
  readonly interruptedAt: Date | null
  readonly processId?: string | undefined
  /** Turns a GlobalID argument into its record. */
  readonly locate?: ((gid: GlobalID) => Promise<unknown>) | undefined
  /** Why the job should stop early, or false. */
  readonly stoppingReason?: (() => StoppingReason | false) | undefined
  /** Whether the worker told the job to stop: an error is then no failure, and its outcome is dropped. */
  readonly isStopped?: boolean | undefined
  /** What is paused; absent where pauses are not honoured. */
  readonly paused?: (() => Promise<Pauses>) | undefined
  /** Takes a re-enqueue of the running job in place of the queue adapter. */
  readonly reenqueue?: ((job: Job) => void) | undefined
  /** What failed outside of the awaited code of the body, if anything did. */
  readonly failure?: Error | undefined
  /** Awaited when the body has ended, so that such a failure is known. */
  readonly lateFailures?: (() => Promise<void> | undefined) | undefined
}

/** Surrounds a job that no worker runs. */
export const DETACHED_RUN: JobRun = {
  signal: new AbortController().signal,
  logger: silentLogger,
  clock: systemClock,
  railsVersion: DEFAULT_RAILS_VERSION,
  batch: null,
  interruptedAt: null,
}
