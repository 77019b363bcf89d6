import { ThrownValueError } from '../errors.ts'
import { events } from '../events.ts'
import { containsGlobalID, deserializeArguments, isKeywords, mapGlobalIDs } from '../serialize/arguments/arguments.ts'
import type { GlobalID } from '../serialize/values/global-id.ts'
import type { Job } from './base.ts'
import { type JobCallback, runCallbacks } from './callbacks.ts'
import { withJob } from './context.ts'
import { declarationsOf } from './definition/declarations.ts'
import { asError } from './exceptions/error-names.ts'
import { runAfterDiscard } from './exceptions/exceptions.ts'
import { findHandler } from './exceptions/matching.ts'
import { jobEvent } from './job-event.ts'
import { STATE } from './state.ts'

/** How a run of a job ended. The tag keeps a user's value from being mistaken for another end. */
export type RunEnd =
  | { readonly kind: 'performed'; readonly value: unknown }
  | { readonly kind: 'aborted' }
  /** A handler handled `error`: the job's error, or that of its causes that matched. */
  | { readonly kind: 'handled'; readonly error: Error }
  | { readonly kind: 'failed'; readonly error: Error }

/** The result of `performNow`: the value of `perform`, false if aborted, or the error if a handler handled it. */
export type PerformResult<T extends Job> = Awaited<ReturnType<T['perform']>> | false | Error

/** Runs a job inside its callbacks and handlers; rejects with an error that no handler handled. */
export const performNow = async (job: Job): Promise<unknown> => {
  const end = await withJob(job, () => performJob(job))
  switch (end.kind) {
    case 'performed':
      return end.value
    case 'aborted':
      return false
    case 'handled':
      return end.error
    case 'failed':
      throw end.error instanceof ThrownValueError ? end.error.value : end.error
    default:
      end satisfies never
  }
}

/** Like `performNow`, but resolves with the end of the run and never rejects. */
export const performJob = async (job: Job): Promise<RunEnd> => {
  const { clock } = job[STATE].run
  const startedAt = clock.monotonic()
  let end: RunEnd
  try {
    end = await runJob(job)
  } catch (thrown) {
    end = await rescue(job, asError(thrown))
  }
  emitPerform(job, end, clock.monotonic() - startedAt)
  return end
}

const emitPerform = (job: Job, end: RunEnd, durationMs: number): void => {
  const event = { ...jobEvent(job), durationMs }
  if (end.kind === 'failed') {
    const stopped = job[STATE].run.isStopped ? { isStopped: true } : {}
    events.emit('perform', { ...event, error: end.error, ...stopped })
  } else if (end.kind === 'aborted') events.emit('perform', { ...event, aborted: true })
  else events.emit('perform', event)
}

// Active Job 8.1 execution.rb#perform_now: the run is counted before its arguments are read. These functions are async only if necessary,
// because under AsyncLocalStorage each promise costs as much as the rest of a small job.
const runJob = (job: Job): Promise<RunEnd> => {
  job.executions += 1
  const reading = readArguments(job)
  return reading ? reading.then(() => runBody(job)) : runBody(job)
}

const runBody = (job: Job): Promise<RunEnd> => {
  const { rulesError } = job[STATE].run
  if (rulesError !== undefined) return Promise.reject(rulesError)
  events.emit('perform_start', jobEvent(job))
  const { perform } = declarationsOf(job.constructor)
  return perform.length === 0 ? performBody(job) : performInCallbacks(job, perform)
}

const performInCallbacks = async (job: Job, callbacks: readonly JobCallback[]): Promise<RunEnd> => {
  let end: RunEnd = { kind: 'performed', value: undefined }
  const { isAborted } = await runCallbacks(job, callbacks, async () => {
    end = await performBody(job)
  })
  return isAborted ? { kind: 'aborted' } : end
}

// An error of code that is not awaited takes precedence: the error of `perform()` is often the abort that it caused.
const performBody = async (job: Job): Promise<RunEnd> => {
  const { run } = job[STATE]
  let value: unknown
  try {
    value = await job.perform(...(delivered(job.arguments) as never[]))
  } catch (error) {
    throw run.failure ?? error
  }
  const late = run.lateFailures?.()
  if (late) await late
  if (run.failure) throw run.failure
  return { kind: 'performed', value }
}

/** Reads the arguments; asynchronous only if records have to be located. Throws DeserializationError. */
export const readArguments = (job: Job): Promise<void> | undefined => {
  const state = job[STATE]
  if (!state.wire) return undefined
  const { locate, railsVersion } = state.run
  const args = deserializeArguments(state.wire, { ...job.jobConstructor.argumentOptions, railsVersion })
  if (locate && containsGlobalID(args)) return locateRecords(job, args, locate)
  job.arguments = args
  state.wire = null
  return undefined
}

const locateRecords = async (job: Job, args: unknown[], locate: (gid: GlobalID) => Promise<unknown>): Promise<void> => {
  job.arguments = await mapGlobalIDs(args, locate)
  job[STATE].wire = null
}

/** Removes empty keyword arguments, because Ruby passes nothing for them. */
const delivered = (args: readonly unknown[]): readonly unknown[] => {
  const last = args.at(-1)
  return isKeywords(last) && Object.keys(last as object).length === 0 ? args.slice(0, -1) : args
}

const rescue = async (job: Job, error: Error): Promise<RunEnd> => {
  // The job runs again as interrupted, so handlers must not report a failure. In Ruby none runs either when the thread is killed.
  if (job[STATE].run.isStopped) return { kind: 'failed', error }
  try {
    const match = findHandler(declarationsOf(job.constructor).handlers, error)
    if (match) {
      await match.handler.handle(job, match.error)
      return { kind: 'handled', error: match.error }
    }
    await runAfterDiscard(job, error)
    return { kind: 'failed', error }
  } catch (thrown) {
    return { kind: 'failed', error: asError(thrown) }
  }
}
