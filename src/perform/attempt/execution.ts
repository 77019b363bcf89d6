import { InterruptError } from '../../errors.ts'
import type { Job, JobConstructor } from '../../job/base.ts'
import type { BatchReference } from '../../job/batch-reference.ts'
import { currentAttemptRun, withAttempt } from '../../job/context.ts'
import { asError, backtraceOf, errorText } from '../../job/exceptions/error-names.ts'
import type { Logger } from '../../job/logger.ts'
import type { Pauses, StoppingReason } from '../../job/pauses.ts'
import { type PerformOutcome, performJob } from '../../job/performing.ts'
import { jobFromData } from '../../job/serialization.ts'
import { STATE } from '../../job/state.ts'
import { parseJobData } from '../../serialize/job-data.ts'
import type { RailsVersion } from '../../serialize/rails-version.ts'
import type { GlobalID } from '../../serialize/values/global-id.ts'
import type { Clock } from '../../time.ts'
import { AttemptRun } from './run.ts'

/** A claimed job, as described by its row. */
export interface Attempt {
  readonly jobClass: JobConstructor
  readonly id: string
  /** The jsonb column as text: numbers must not pass through JSON.parse. */
  readonly serializedParams: string
  readonly labels: readonly string[] | null
  readonly concurrencyKey: string | null
  /** Start of the previous attempt, if that attempt never recorded its end. */
  readonly interruptedAt: Date | null
  readonly batch?: BatchReference | null
}

/** What the worker passes to an attempt. */
export interface AttemptContext {
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly clock: Clock
  readonly processId?: string
  readonly railsVersion: RailsVersion
  /** Turns a GlobalID argument into its record; without it arguments stay GlobalIDs. */
  readonly locate?: (gid: GlobalID) => Promise<unknown>
  /** Why jobs should stop early, or false. @default 'stopping' once the signal has aborted */
  readonly stoppingReason?: () => StoppingReason | false
  /** Returns what is paused; absent if pauses are not honoured. */
  readonly paused?: (() => Promise<Pauses>) | undefined
}

/** The row of a job that enqueued itself again. */
export interface Reenqueue {
  readonly serializedParams: string
  readonly jobClass: string
  readonly queueName: string
  readonly priority: number
  /** Null: at `createdAt`. */
  readonly scheduledAt: Date | null
  /** When the job was enqueued again; ISO text with microseconds. */
  readonly createdAt: string
  /** Null: unchanged. */
  readonly labels: readonly string[] | null
  readonly notify: boolean
}

/** How an attempt ended. GoodJob: ExecutionResult. */
export interface ExecutionResult {
  readonly outcome: 'succeeded' | 'retried' | 'discarded' | 'retry_stopped' | 'handled' | 'unhandled' | 'interrupted'
  readonly error: { readonly text: string; readonly backtrace: readonly string[] } | null
  /** GoodJob's error_event: interrupted 0, unhandled 1, handled 2, retried 3, retry_stopped 4, discarded 5. */
  readonly errorEvent: 0 | 1 | 2 | 3 | 4 | 5 | null
  /** Whether the error came out of the job; an error with a handler did not. */
  readonly isUnhandled: boolean
  /** If this is not null the job runs again, whatever the outcome. */
  readonly reenqueue: Reenqueue | null
  /** The error itself. */
  readonly cause?: unknown
  /** Null if no job could be built from the row. */
  readonly job: Job | null
}

/** Runs one attempt and returns how it ended; never rejects because of the job or its row. */
export const execute = async (attempt: Attempt, context: AttemptContext): Promise<ExecutionResult> => {
  let run: AttemptRun | undefined
  try {
    const job = buildJob(attempt)
    run = new AttemptRun(attempt, context, job)
    job[STATE].run = run
    const outcome = await withAttempt(job, run, () => performJob(job))
    return resultOf(outcome, job, run)
  } catch (error) {
    return failureOf(error)
  } finally {
    run?.end()
  }
}

/**
 * The result of an error around a job rather than in it, e.g. no job could be built from its row: no event, no handler and no
 * count, as in Active Job's Base.execute.
 */
export const failureOf = (error: unknown): ExecutionResult =>
  failed('unhandled', 1, { error: asError(error), job: null })

const buildJob = ({ jobClass, id, serializedParams, labels, concurrencyKey }: Attempt): Job => {
  const data = parseJobData(serializedParams)
  const job = jobFromData(jobClass, data)
  if (data.jobId === '') job.jobId = id
  job.providerJobId = id
  job.labels = labels ?? []
  job.concurrencyKey = concurrencyKey
  return job
}

// GoodJob 4.23.1 job.rb#perform: the hook that fired with this very error decides.
const resultOf = (outcome: PerformOutcome, job: Job, run: AttemptRun): ExecutionResult => {
  const { retriedError, discardedError, retryStoppedError } = job[STATE]
  const reenqueue = run.reenqueued
  switch (outcome.kind) {
    case 'performed':
    case 'aborted':
      if (retriedError !== undefined) return handled('retried', 3, { error: asError(retriedError), job, reenqueue })
      return { outcome: reenqueue ? 'retried' : 'succeeded', ...NO_ERROR, reenqueue, job }
    case 'handled': {
      const { error } = outcome
      if (error === discardedError) return handled('discarded', 5, { error, job, reenqueue })
      if (error === retriedError) return handled('retried', 3, { error, job, reenqueue })
      if (error === retryStoppedError) return handled('retry_stopped', 4, { error, job, reenqueue })
      return handled('handled', 2, { error, job, reenqueue })
    }
    case 'failed': {
      const { error } = outcome
      if (error instanceof InterruptError) return failed('interrupted', 0, { error, job })
      if (error === retryStoppedError) return failed('retry_stopped', 4, { error, job })
      return failed('unhandled', 1, { error, job })
    }
    default:
      return outcome satisfies never
  }
}

const NO_ERROR = { error: null, errorEvent: null, isUnhandled: false } as const

type Ending = Pick<ExecutionResult, 'outcome' | 'errorEvent'>

const handled = (
  outcome: Ending['outcome'],
  errorEvent: Ending['errorEvent'],
  { error, job, reenqueue }: { error: Error; job: Job; reenqueue: Reenqueue | null },
): ExecutionResult => ({ outcome, errorEvent, error: stored(error), isUnhandled: false, reenqueue, cause: error, job })

// An error that comes out of the job finishes it, even if the job had enqueued itself again before.
const failed = (
  outcome: Ending['outcome'],
  errorEvent: Ending['errorEvent'],
  { error, job }: { error: Error; job: Job | null },
): ExecutionResult => ({
  outcome,
  errorEvent,
  error: stored(error),
  isUnhandled: true,
  reenqueue: null,
  cause: error,
  job,
})

const stored = (error: Error): ExecutionResult['error'] => ({ text: errorText(error), backtrace: backtraceOf(error) })

/** The attempt whose code is running, also in timers and promises that no code awaits. */
export const attemptOfCurrentContext = (): Attempt | undefined => attemptRun()?.attempt

/**
 * Fails the attempt whose code is running, for a process-wide 'unhandledRejection' handler. Its signal aborts, and when its
 * `perform()` has ended the error is passed to retryOn and the other handlers like one that was thrown. False if no attempt is
 * running.
 */
export const failCurrentAttempt = (error: unknown): boolean => attemptRun()?.fail(error) ?? false

const attemptRun = (): AttemptRun | undefined => {
  const run = currentAttemptRun()
  return run instanceof AttemptRun ? run : undefined
}
