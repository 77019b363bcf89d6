import { ConfigurationError } from '../../errors.ts'
import { events } from '../../events.ts'
import type { Job } from '../base.ts'
import { declarationsOf, declareOn } from '../definition/declarations.ts'
import { jobEvent } from '../job-event.ts'
import { assertKnownOptions } from '../options.ts'
import { STATE } from '../state.ts'
import { delaySeconds, validateWait, type Wait } from './delays.ts'
import { asError } from './error-names.ts'
import { assertLastingCounter, assertMatchers } from './matcher-checks.ts'
import { counterKey, type ErrorMatcher } from './matching.ts'

export interface RetryOnOptions {
  /** Seconds, `'polynomially_longer'` or a function of the number of failures so far. @default 3 */
  readonly wait?: Wait | undefined
  /** Maximum number of runs, including the first; `'unlimited'`: no maximum. @default 5 */
  readonly attempts?: number | 'unlimited' | undefined
  /** Queue of the retries. @default the job's own */
  readonly queue?: string | null | undefined
  /** Priority of the retries. @default the job's own */
  readonly priority?: number | null | undefined
  /** Maximum share that is randomly added to the wait; null: none. @default the class's retryJitter */
  readonly jitter?: number | null | undefined
  /** Emits `error_report` for each scheduled retry. @default false */
  readonly report?: boolean | undefined
  /** Key of the counter in exception_executions, if Ruby's declaration of the same rule has another one. @default the list of classes */
  readonly key?: string | undefined
}

export interface DiscardOnOptions {
  /** Emits `error_report` for each discarded job. @default false */
  readonly report?: boolean | undefined
}

export type FailureFunction<T extends Job = Job, E = Error> = (job: T, error: E) => unknown
export type AfterDiscard = FailureFunction

/** One retryOn, discardOn or rescueFrom. */
export interface Handler {
  readonly matchers: readonly ErrorMatcher[]
  /** The key of a retryOn's counter. */
  readonly key?: string
  handle(job: Job, error: Error): Promise<void>
}

const RETRY_OPTIONS = ['wait', 'attempts', 'queue', 'priority', 'jitter', 'report', 'key'] as const
const DISCARD_OPTIONS = ['report'] as const

/** Adds a retryOn to a class. Throws ConfigurationError for invalid options. */
export const declareRetry = (
  jobClass: object,
  matchers: readonly ErrorMatcher[],
  { options, onExhausted }: { options: RetryOnOptions; onExhausted: FailureFunction | undefined },
): void => {
  assertMatchers('retryOn', matchers)
  assertKnownOptions('retryOn', options, RETRY_OPTIONS)
  if (options.key === undefined) assertLastingCounter(matchers)
  const rule: RetryRule = {
    key: options.key ?? counterKey(matchers),
    wait: options.wait ?? 3,
    attempts: readAttempts(options.attempts ?? 5),
    options,
    onExhausted,
  }
  validateWait(rule.wait)
  warnOfSharedCounter(jobClass, matchers, rule.key)
  declareOn(jobClass).handlers.push({ matchers, key: rule.key, handle: (job, error) => retryOrStop(job, error, rule) })
}

/** Adds a discardOn to a class. */
export const declareDiscard = (
  jobClass: object,
  matchers: readonly ErrorMatcher[],
  { options, onDiscard }: { options: DiscardOnOptions; onDiscard: FailureFunction | undefined },
): void => {
  assertMatchers('discardOn', matchers)
  assertKnownOptions('discardOn', options, DISCARD_OPTIONS)
  const handle = async (job: Job, error: Error) => {
    job[STATE].discardedError = error
    if (options.report) reportError(job, error)
    try {
      await onDiscard?.(job, error)
      await runAfterDiscard(job, error)
    } finally {
      events.emit('discard', { ...jobEvent(job), error })
    }
  }
  declareOn(jobClass).handlers.push({ matchers, handle })
}

/** Adds a rescueFrom to a class. */
export const declareRescue = (jobClass: object, matchers: readonly ErrorMatcher[], handler: FailureFunction): void => {
  assertMatchers('rescueFrom', matchers)
  const handle = async (job: Job, error: Error) => {
    await handler(job, error)
  }
  declareOn(jobClass).handlers.push({ matchers, handle })
}

/** Runs every afterDiscard, even if one throws; then throws the last thrown error. */
export const runAfterDiscard = async (job: Job, error: Error): Promise<void> => {
  let failure: Error | undefined
  for (const afterDiscard of declarationsOf(job.constructor).afterDiscard) {
    try {
      await afterDiscard(job, error)
    } catch (thrown) {
      failure = asError(thrown)
    }
  }
  if (failure) throw failure
}

interface RetryRule {
  readonly key: string
  readonly wait: Wait
  readonly attempts: number
  readonly options: RetryOnOptions
  readonly onExhausted: FailureFunction | undefined
}

const readAttempts = (attempts: number | 'unlimited'): number => {
  if (attempts === 'unlimited' || attempts === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
  if (Number.isInteger(attempts) && attempts > 0) return attempts
  throw new ConfigurationError(
    `retryOn: attempts must be a whole number of at least 1, or 'unlimited', got ${String(attempts)}`,
  )
}

const warnOfSharedCounter = (jobClass: object, matchers: readonly ErrorMatcher[], key: string): void => {
  const twin = declarationsOf(jobClass).handlers.find((handler) => handler.key === key)
  if (!twin || twin.matchers.every((matcher, index) => matcher === matchers[index])) return
  const { name } = jobClass as { name: string }
  process.emitWarning(
    `${name}: two retryOn of different errors count as "${key}"; give one of them a key, or its class a static rubyName`,
  )
}

// Active Job 8.1 exceptions.rb#retry_on counts first, so that a retry stores the new count.
const retryOrStop = async (job: Job, error: Error, rule: RetryRule): Promise<void> => {
  const executions = countExecution(job, rule.key)
  if (executions < rule.attempts) return scheduleRetry(job, error, { rule, executions })
  job[STATE].retryStoppedError = error
  try {
    await rule.onExhausted?.(job, error)
  } finally {
    events.emit('retry_stopped', { ...jobEvent(job), error })
  }
  await runAfterDiscard(job, error)
  if (!rule.onExhausted) throw error
}

/** If exception_executions is null (written before Rails 6), it stays null, and all runs count. */
const countExecution = (job: Job, key: string): number => {
  const counters = job.exceptionExecutions
  if (counters === null) return job.executions
  const count = (Number(counters[key] ?? 0) || 0) + 1
  counters[key] = count
  return count
}

const scheduleRetry = async (
  job: Job,
  error: Error,
  { rule, executions }: { rule: RetryRule; executions: number },
): Promise<void> => {
  const { wait, options } = rule
  if (options.report) reportError(job, error)
  const jitter = options.jitter === undefined ? job.jobConstructor.retryJitter : (options.jitter ?? 0)
  const seconds = delaySeconds(wait, { executions, error, jitter })
  if (await job.retryJob({ wait: seconds, queue: options.queue, priority: options.priority, error })) return
  // The retry was not enqueued. Active Job treats the error as handled in this case, and loses the job.
  await runAfterDiscard(job, error)
  throw error
}

const reportError = (job: Job, error: Error): void => {
  events.emit('error_report', { ...jobEvent(job), error, severity: 'warning', source: 'application.active_job' })
}
