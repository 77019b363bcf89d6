import { AsyncLocalStorage } from 'node:async_hooks'
import type { EnqueueBuffer } from './adapters/enqueue-buffer.ts'
import type { Job } from './base.ts'
import type { JobRun } from './run.ts'

/** Values that the surrounding code sets for the jobs it enqueues. GoodJob: the thread-locals of Batch. */
export interface EnqueueContext {
  readonly batchId?: string | undefined
  readonly batchCallbackId?: string | undefined
  /** Collects the jobs instead of inserting them at once. */
  readonly buffer?: EnqueueBuffer | undefined
}

interface Scope {
  readonly job: Job | undefined
  readonly enqueue: EnqueueContext
  /** The run that a worker has started. A `performNow` inside `perform()` belongs to the run around it. */
  readonly workerRun: JobRun | undefined
  /** The worker (good_job_processes.id) whose own code is running. */
  readonly processId?: string | undefined
}

const NOTHING: EnqueueContext = Object.freeze({})
const OUTSIDE: Scope = { job: undefined, enqueue: NOTHING, workerRun: undefined }

const storage = new AsyncLocalStorage<Scope>()
const currentScope = (): Scope => storage.getStore() ?? OUTSIDE

/** The job whose code is running, also after an `await`; undefined outside of a job. */
export const currentJob = (): Job | undefined => currentScope().job

/** The worker's run whose code is running. */
export const currentWorkerRun = (): JobRun | undefined => currentScope().workerRun

/** The worker (good_job_processes.id) whose job or own code is running. */
export const currentProcessId = (): string | undefined => {
  const { workerRun, processId } = currentScope()
  return workerRun?.processId ?? processId
}

/** Runs `body` as a worker's own work; it inherits nothing from the caller's context. */
export const withProcess = <T>(processId: string, body: () => T): T => storage.run({ ...OUTSIDE, processId }, body)

export const currentEnqueueContext = (): EnqueueContext => currentScope().enqueue

/** Runs `body`; the jobs that it enqueues get `context`. It replaces an outer context, so the innermost batch wins. */
export const withEnqueueContext = <T>(context: EnqueueContext, body: () => T): T =>
  storage.run({ ...currentScope(), enqueue: context }, body)

/** Runs `body` as code of `job`, inside the caller's context. */
export const withJob = <T>(job: Job, body: () => T): T => storage.run({ ...currentScope(), job }, body)

/** Runs `body` as a worker's run of `job`; the jobs that it enqueues belong to no batch and no cron entry. */
export const withWorkerRun = <T>(job: Job, workerRun: JobRun, body: () => T): T =>
  storage.run({ job, enqueue: NOTHING, workerRun }, body)
