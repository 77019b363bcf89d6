import { type EventMap, type EventName, events } from '../../src/events.ts'
import type { QueueAdapter } from '../../src/job/adapters/queue-adapter.ts'
import { Job } from '../../src/job/base.ts'
import type { RetryOnOptions } from '../../src/job/exceptions/exceptions.ts'
import { silentLogger } from '../../src/job/logger.ts'
import { jobToText } from '../../src/job/serialization.ts'
import { type ExecutionResult, execute, type StoredJob } from '../../src/perform/attempt/execution.ts'
import type { StopRequest, WorkerContext } from '../../src/perform/attempt/run.ts'
import { systemClock } from '../../src/time.ts'

/** The constant time of the clock of these tests. */
export const NOW = new Date('2024-02-29T12:34:56.123Z')

/** A clock that always shows `NOW`. */
export const stoppedClock = { ...systemClock, now: () => NOW, monotonic: () => 0 }

export type Surroundings = Partial<WorkerContext & StopRequest>

/** Runs a stored job in a worker with default settings, except for `overrides`. */
export const run = (stored: StoredJob, overrides: Surroundings = {}): Promise<ExecutionResult> => {
  const { signal = new AbortController().signal, stoppingReason = () => signal.aborted && 'stopping' } = overrides
  const worker: WorkerContext = {
    logger: silentLogger,
    clock: stoppedClock,
    railsVersion: '7.2',
    isShuttingDown: () => false,
    ...overrides,
  }
  const stop: StopRequest = {
    signal,
    stoppingReason,
    get isStopped() {
      return signal.aborted
    },
  }
  return execute(stored, worker, stop)
}

/** A job before its first attempt, as its row would describe it. */
export const storedJobOf = (job: Job, overrides: Partial<StoredJob> = {}): StoredJob => ({
  jobClass: job.jobConstructor,
  id: job.jobId,
  serializedParams: jobToText(job, { now: NOW, railsVersion: '7.2' }),
  labels: null,
  concurrencyKey: null,
  interruptedAt: null,
  ...overrides,
})

/** Runs a job as a worker would. */
export const perform = (
  job: Job,
  stored: Partial<StoredJob> = {},
  overrides: Surroundings = {},
): Promise<ExecutionResult> => run(storedJobOf(job, stored), overrides)

/** The job after an attempt that enqueued it again. Throws when it did not. */
export const storedAgain = (result: ExecutionResult): StoredJob => {
  const { job, reenqueue } = result
  if (!job || !reenqueue) throw new Error(`the attempt ended for good: ${JSON.stringify(result.error)}`)
  const { serializedParams, labels } = reenqueue
  const { jobConstructor: jobClass, jobId: id } = job
  return { jobClass, id, serializedParams, labels, concurrencyKey: null, interruptedAt: null }
}

/** The stored hash of a re-enqueued job. */
export const storedParams = (result: ExecutionResult): Record<string, unknown> => {
  if (!result.reenqueue) throw new Error('nothing was enqueued')
  return JSON.parse(result.reenqueue.serializedParams) as Record<string, unknown>
}

/** Runs a job until it is no longer enqueued again; returns all results. */
export const performAll = async (job: Job, overrides: Surroundings = {}): Promise<ExecutionResult[]> => {
  const results = [await perform(job, {}, overrides)]
  for (let last = results.at(-1); last?.reenqueue; last = results.at(-1)) {
    results.push(await run(storedAgain(last), overrides))
  }
  return results
}

/** An adapter that records the enqueued jobs, or calls `refuse`. */
export class RecordingAdapter implements QueueAdapter {
  readonly name = 'Recording'
  readonly jobs: Job[] = []
  readonly bulks: (readonly Job[])[] = []
  readonly transactions: unknown[] = []
  refuse: (job: Job) => void = () => {}

  async enqueue(job: Job, { transaction }: { transaction?: unknown }): Promise<void> {
    this.refuse(job)
    this.transactions.push(transaction)
    this.jobs.push(job)
  }

  async enqueueAll(jobs: readonly Job[], { transaction }: { transaction?: unknown }): Promise<number> {
    this.transactions.push(transaction)
    this.bulks.push(jobs)
    for (const job of jobs) job.successfullyEnqueued = true
    return jobs.length
  }
}

const JOB_EVENTS = [
  'enqueue',
  'enqueue_at',
  'perform_start',
  'perform',
  'enqueue_retry',
  'retry_stopped',
  'discard',
  'error_report',
  'interrupt',
  'resume',
  'step_started',
  'step',
  'step_skipped',
] as const satisfies readonly EventName[]

export interface SeenEvent {
  readonly name: (typeof JOB_EVENTS)[number]
  readonly payload: EventMap[(typeof JOB_EVENTS)[number]] & { readonly error?: unknown; readonly aborted?: boolean }
}

/** Records the job events during `work`. */
export const eventsDuring = async (work: () => unknown): Promise<SeenEvent[]> => {
  const seen: SeenEvent[] = []
  const listeners = JOB_EVENTS.map((name) => {
    const listener = (payload: EventMap[typeof name]) => seen.push({ name, payload } as SeenEvent)
    events.on(name, listener as never)
    return () => events.off(name, listener as never)
  })
  try {
    await work()
  } finally {
    for (const stop of listeners) stop()
  }
  return seen
}

/** The names of the job events during `work`. */
export const eventNamesDuring = async (work: () => unknown): Promise<string[]> =>
  (await eventsDuring(work)).map(({ name }) => name)

/** A class for one test, with this `perform`. */
export const declareTestedJob = (perform: (job: Job, ...args: unknown[]) => unknown) => {
  class TestedJob extends Job {
    async perform(...args: unknown[]) {
      return perform(this, ...args)
    }
  }
  return TestedJob
}

/** A class for one test that throws what `failure` makes, with one retryOn. */
export const declareFailingJob = (
  errors: Parameters<typeof Job.retryOn>[0],
  options: RetryOnOptions,
  failure: () => unknown,
) => {
  class FailingJob extends Job {
    perform() {
      throw failure()
    }
  }
  FailingJob.retryOn(errors, options)
  return FailingJob
}

/** A class for one test, on an adapter of its own. */
export const declareMailJob = () => {
  class MailJob extends Job {
    async perform(_to: string, _options?: { copies: number }) {}
  }
  const adapter = new RecordingAdapter()
  MailJob.queueAdapter = adapter
  return { MailJob, adapter }
}
