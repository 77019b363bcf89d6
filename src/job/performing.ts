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

/** How a run of a job ended; tagged, so that no value of a user's is ever taken for an outcome. */
export type PerformOutcome =
  | { readonly kind: 'performed'; readonly value: unknown }
  | { readonly kind: 'aborted' }
  /** A handler took `error`, which is the job's error or the cause of it that matched. */
  | { readonly kind: 'handled'; readonly error: Error }
  | { readonly kind: 'failed'; readonly error: Error }

/** What `performNow` resolves with: the answer of `perform`, false when aborted, the error when a handler took it. */
export type PerformResult<T extends Job> = Awaited<ReturnType<T['perform']>> | false | Error

/** Runs a job in its callbacks and handlers; rejects with what nobody handled. */
export const performNow = async (job: Job): Promise<unknown> => {
  const outcome = await withJob(job, () => performJob(job))
  switch (outcome.kind) {
    case 'performed':
      return outcome.value
    case 'aborted':
      return false
    case 'handled':
      return outcome.error
    case 'failed':
      throw outcome.error instanceof ThrownValueError ? outcome.error.value : outcome.error
    default:
      outcome satisfies never
  }
}

/** The same as a value; never rejects. */
export const performJob = async (job: Job): Promise<PerformOutcome> => {
  const { clock } = job[STATE].run
  const startedAt = clock.monotonic()
  let outcome: PerformOutcome
  try {
    outcome = await runJob(job)
  } catch (thrown) {
    outcome = await rescue(job, asError(thrown))
  }
  emitPerform(job, outcome, clock.monotonic() - startedAt)
  return outcome
}

const emitPerform = (job: Job, outcome: PerformOutcome, durationMs: number): void => {
  const event = { ...jobEvent(job), durationMs }
  if (outcome.kind === 'failed') {
    const stopped = job[STATE].run.isStopped ? { isStopped: true } : {}
    events.emit('perform', { ...event, error: outcome.error, ...stopped })
  } else if (outcome.kind === 'aborted') events.emit('perform', { ...event, aborted: true })
  else events.emit('perform', event)
}

// Active Job 8.1 execution.rb#perform_now: the run is counted before its arguments are read. These functions are not async
// where they need not be: under AsyncLocalStorage each promise costs as much as the rest of a small job.
const runJob = (job: Job): Promise<PerformOutcome> => {
  job.executions += 1
  const reading = readArguments(job)
  return reading ? reading.then(() => runBody(job)) : runBody(job)
}

const runBody = (job: Job): Promise<PerformOutcome> => {
  events.emit('perform_start', jobEvent(job))
  const { perform } = declarationsOf(job.constructor)
  return perform.length === 0 ? performBody(job) : performInCallbacks(job, perform)
}

const performInCallbacks = async (job: Job, callbacks: readonly JobCallback[]): Promise<PerformOutcome> => {
  let outcome: PerformOutcome = { kind: 'performed', value: undefined }
  const { isAborted } = await runCallbacks(job, callbacks, async () => {
    outcome = await performBody(job)
  })
  return isAborted ? { kind: 'aborted' } : outcome
}

// A failure outside of the awaited code comes first: what the body throws is often the abort that it caused.
const performBody = async (job: Job): Promise<PerformOutcome> => {
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

/** Reads the arguments, at once unless records have to be found. Throws DeserializationError. */
const readArguments = (job: Job): Promise<void> | undefined => {
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

/** Ruby passes nothing for keywords without a key. */
const delivered = (args: readonly unknown[]): readonly unknown[] => {
  const last = args.at(-1)
  return isKeywords(last) && Object.keys(last as object).length === 0 ? args.slice(0, -1) : args
}

const rescue = async (job: Job, error: Error): Promise<PerformOutcome> => {
  // The job runs again as interrupted: handlers must not tell anybody that it failed, as none runs after Ruby killed a thread.
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
