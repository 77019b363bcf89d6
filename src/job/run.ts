import { DEFAULT_RAILS_VERSION, type RailsVersion } from '../serialize/rails-version.ts'
import type { GlobalID } from '../serialize/values/global-id.ts'
import { type Clock, systemClock } from '../time.ts'
import type { Job } from './base.ts'
import type { BatchReference } from './batch-reference.ts'
import { type Logger, silentLogger } from './logger.ts'
import type { Pauses, StoppingReason } from './pauses.ts'

/** One run of a job, as its code sees it: a worker's `WorkerRun`, or `DETACHED_RUN` for `performNow`. */
export interface JobRun {
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly clock: Clock
  readonly railsVersion: RailsVersion
  readonly batch: BatchReference | null
  /** Start of the previous attempt, if it wrote no outcome. */
  readonly interruptedAt: Date | null
  readonly processId?: string | undefined
  /** Resolves a GlobalID argument to its record. */
  readonly locate?: ((gid: GlobalID) => Promise<unknown>) | undefined
  /** The reason for which the job should end early, or false. */
  readonly stoppingReason?: (() => StoppingReason | false) | undefined
  /** Whether the worker asked the job to stop. An error is then no failure, and the outcome is dropped. */
  readonly isStopped?: boolean | undefined
  /** Reads the current pauses; absent if the worker does not honour pauses. */
  readonly paused?: (() => Promise<Pauses>) | undefined
  /** Receives a re-enqueue of the running job in place of the queue adapter. */
  readonly reenqueue?: ((job: Job) => void) | undefined
  /** An error of the job's concurrency rules: the attempt fails with it before its callbacks. */
  readonly rulesError?: Error | undefined
  /** An error of code that the job started but did not await. */
  readonly failure?: Error | undefined
  /** Awaited after `perform()`, so that `failure` is known. */
  readonly lateFailures?: (() => Promise<void> | undefined) | undefined
}

/** The run of a job that no worker runs. */
export const DETACHED_RUN: JobRun = {
  signal: new AbortController().signal,
  logger: silentLogger,
  clock: systemClock,
  railsVersion: DEFAULT_RAILS_VERSION,
  batch: null,
  interruptedAt: null,
}
