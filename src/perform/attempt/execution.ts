import { InterruptError } from '../../errors.ts'
import type { Job, JobConstructor } from '../../job/base.ts'
import type { BatchReference } from '../../job/batch-reference.ts'
import { currentWorkerRun, withWorkerRun } from '../../job/context.ts'
import { asError, backtraceOf, errorText } from '../../job/exceptions/error-names.ts'
import { performJob, type RunEnd } from '../../job/performing.ts'
import { jobFromData } from '../../job/serialization.ts'
import { STATE } from '../../job/state.ts'
import { parseJobData } from '../../serialize/job-data.ts'
import { type StopRequest, type WorkerContext, WorkerRun } from './run.ts'

/** A claimed job, as its row describes it. */
export interface StoredJob {
  readonly jobClass: JobConstructor
  readonly id: string
  /** The jsonb column as text: numbers must not pass through JSON.parse. */
  readonly serializedParams: string
  readonly labels: readonly string[] | null
  readonly concurrencyKey: string | null
  /** Start of the previous attempt, if that attempt never recorded its end. */
  readonly interruptedAt: Date | null
  /** Why the concurrency rules of the job are unknown: its attempt fails with this error. */
  readonly rulesError?: Error | undefined
  readonly batch?: BatchReference | null
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

/** Runs a job once and returns how its attempt ended; never rejects because of the job or its row. */
export const execute = async (
  stored: StoredJob,
  worker: WorkerContext,
  stop: StopRequest,
): Promise<ExecutionResult> => {
  let run: WorkerRun | undefined
  try {
    const job = buildJob(stored)
    run = new WorkerRun(stored, job, worker, stop)
    job[STATE].run = run
    const end = await withWorkerRun(job, run, () => performJob(job))
    return resultOf(end, job, run)
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

export const buildJob = ({ jobClass, id, serializedParams, labels, concurrencyKey }: StoredJob): Job => {
  const data = parseJobData(serializedParams)
  const job = jobFromData(jobClass, data)
  if (data.jobId === '') job.jobId = id
  job.providerJobId = id
  job.labels = labels ?? []
  job.concurrencyKey = concurrencyKey
  return job
}

// GoodJob 4.23.1 job.rb#perform: the hook that fired with this very error decides.
const resultOf = (end: RunEnd, job: Job, run: WorkerRun): ExecutionResult => {
  const { retriedError, discardedError, retryStoppedError } = job[STATE]
  const reenqueue = run.reenqueued
  switch (end.kind) {
    case 'performed':
    case 'aborted':
      if (retriedError !== undefined) return handled('retried', 3, { error: asError(retriedError), job, reenqueue })
      return { outcome: reenqueue ? 'retried' : 'succeeded', ...NO_ERROR, reenqueue, job }
    case 'handled': {
      const { error } = end
      if (error === discardedError) return handled('discarded', 5, { error, job, reenqueue })
      if (error === retriedError) return handled('retried', 3, { error, job, reenqueue })
      if (error === retryStoppedError) return handled('retry_stopped', 4, { error, job, reenqueue })
      return handled('handled', 2, { error, job, reenqueue })
    }
    case 'failed': {
      const { error } = end
      if (error instanceof InterruptError) return failed('interrupted', 0, { error, job })
      if (error === retryStoppedError) return failed('retry_stopped', 4, { error, job })
      return failed('unhandled', 1, { error, job })
    }
    default:
      return end satisfies never
  }
}

const NO_ERROR = { error: null, errorEvent: null, isUnhandled: false } as const

type Ending = Pick<ExecutionResult, 'outcome' | 'errorEvent'>

const handled = (
  outcome: Ending['outcome'],
  errorEvent: Ending['errorEvent'],
  { error, job, reenqueue }: { error: Error; job: Job; reenqueue: Reenqueue | null },
): ExecutionResult => ({
  outcome,
  errorEvent,
  error: storedError(error),
  isUnhandled: false,
  reenqueue,
  cause: error,
  job,
})

// An error that comes out of the job finishes it, even if the job had enqueued itself again before.
const failed = (
  outcome: Ending['outcome'],
  errorEvent: Ending['errorEvent'],
  { error, job }: { error: Error; job: Job | null },
): ExecutionResult => ({
  outcome,
  errorEvent,
  error: storedError(error),
  isUnhandled: true,
  reenqueue: null,
  cause: error,
  job,
})

const storedError = (error: Error): ExecutionResult['error'] => ({
  text: errorText(error),
  backtrace: backtraceOf(error),
})

/** The job of the attempt whose code is running, also in timers and promises that no code awaits. */
export const jobOfCurrentAttempt = (): StoredJob | undefined => workerRun()?.stored

/**
 * Fails the attempt whose code is running, for a process-wide 'unhandledRejection' handler. Its signal aborts, and when its
 * `perform()` has ended the error is passed to retryOn and the other handlers like one that was thrown. False if no attempt is
 * running.
 */
export const failCurrentAttempt = (error: unknown): boolean => workerRun()?.fail(error) ?? false

const workerRun = (): WorkerRun | undefined => {
  const run = currentWorkerRun()
  return run instanceof WorkerRun ? run : undefined
}
