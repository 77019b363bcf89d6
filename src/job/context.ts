import { AsyncLocalStorage } from 'node:async_hooks'
import type { EnqueueBuffer } from './adapters/enqueue-buffer.ts'
import type { Job } from './base.ts'
import type { JobRun } from './run.ts'

/** What the surrounding code says about the jobs it enqueues. GoodJob: the thread-locals of Batch and CurrentThread. */
export interface EnqueueContext {
  readonly batchId?: string | undefined
  readonly batchCallbackId?: string | undefined
  readonly cronKey?: string | undefined
  readonly cronAt?: Date | undefined
  /** Takes jobs in place of the database. */
  readonly buffer?: EnqueueBuffer | undefined
}

interface Scope {
  readonly job: Job | undefined
  readonly enqueue: EnqueueContext
  /** The attempt under way; a `performNow` inside a job body keeps the attempt it is part of. */
  readonly attempt: JobRun | undefined
  /** The worker whose own code is running. */
  readonly processId?: string | undefined
}

const NOTHING: EnqueueContext = Object.freeze({})
const OUTSIDE: Scope = { job: undefined, enqueue: NOTHING, attempt: undefined }

const storage = new AsyncLocalStorage<Scope>()
const currentScope = (): Scope => storage.getStore() ?? OUTSIDE

/** The job whose code is running, also after an `await`; undefined outside of one. */
export const currentJob = (): Job | undefined => currentScope().job

/** The run of the attempt whose code is running. */
export const currentAttemptRun = (): JobRun | undefined => currentScope().attempt

/** The worker (good_job_processes.id) on whose behalf code is running: that of the attempt under way, or one that does its own work. */
export const currentProcessId = (): string | undefined => {
  const { attempt, processId } = currentScope()
  return attempt?.processId ?? processId
}

/** Runs `body` as a worker's own work: nothing of what surrounds the caller is inherited by it. */
export const withProcess = <T>(processId: string, body: () => T): T => storage.run({ ...OUTSIDE, processId }, body)

export const currentEnqueueContext = (): EnqueueContext => currentScope().enqueue

/** Runs `body`; what it enqueues carries `context` (instead of an outer one, so the innermost batch wins). */
export const withEnqueueContext = <T>(context: EnqueueContext, body: () => T): T =>
  storage.run({ ...currentScope(), enqueue: context }, body)

/** Runs `body` as a piece of `job`, inside whatever surrounds the caller. */
export const withJob = <T>(job: Job, body: () => T): T => storage.run({ ...currentScope(), job }, body)

/** Runs `body` as an attempt of `job`: what it enqueues belongs to no batch and no cron entry. */
export const withAttempt = <T>(job: Job, run: JobRun, body: () => T): T =>
  storage.run({ job, enqueue: NOTHING, attempt: run }, body)
