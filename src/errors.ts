/** Base of every error this package raises for a broken rule. */
export class GoodJobError extends Error {
  override get name(): string {
    return this.constructor.name
  }
}

/** An option, environment variable or file has an unusable value. The message names it, its value and how to fix it. */
export class ConfigurationError extends GoodJobError {}

/** A worker needs a Postgres session, but a pooler shares the server process behind its connection with other clients. */
export class SessionRequiredError extends ConfigurationError {}

/** A queue string does not follow GoodJob's grammar. */
export class QueueStringError extends ConfigurationError {}

/** The database has no GoodJob tables, or tables that this version cannot work with. */
export class SchemaError extends GoodJobError {}

/** An argument has no Active Job form. Active Job: ActiveJob::SerializationError. */
export class SerializationError extends GoodJobError {
  static readonly rubyName: string = 'ActiveJob::SerializationError'
}

/** A stored argument cannot be turned back into a value. Active Job: ActiveJob::DeserializationError. */
export class DeserializationError extends GoodJobError {
  static readonly rubyName: string = 'ActiveJob::DeserializationError'

  constructor(cause: unknown) {
    const text = cause instanceof Error ? cause.message : String(cause)
    super(`Error while trying to deserialize arguments: ${text}`, { cause })
  }
}

/** A record named by a GlobalID does not exist. Active Job (main): ActiveJob::DeserializationError::RecordNotFound. */
export class RecordNotFoundError extends DeserializationError {
  static override readonly rubyName = 'ActiveJob::DeserializationError::RecordNotFound'
}

/** There is no cron entry with this key. */
export class CronEntryNotFoundError extends GoodJobError {}

/** A row's serialized_params cannot be read as an Active Job hash. */
export class InvalidJobDataError extends GoodJobError {
  static readonly rubyName = 'GoodJob::Job::InvalidJobDataError'
}

/** No class with this name is registered. Active Job 8.1: ActiveJob::UnknownJobClassError. */
export class UnknownJobClassError extends GoodJobError {
  static readonly rubyName = 'ActiveJob::UnknownJobClassError'
}

/** An adapter refused one job. `performLater` returns false, and the error is in the job's `enqueueError`. Active Job: ActiveJob::EnqueueError. */
export class EnqueueError extends GoodJobError {
  static readonly rubyName: string = 'ActiveJob::EnqueueError'
}

/** Another process has enqueued this occurrence of a cron entry. */
export class CronConflictError extends EnqueueError {}

/** What a concurrency rule refused: the scope (`label:mail`, `key:user-7`, `all`), and the limit that is reached. */
interface Exceeded {
  readonly key?: string
  readonly limit?: number
}

/**
 * A concurrency rule refused a job, because a limit is reached. `performLater` returns false, and the error is in the job's `enqueueError`.
 * GoodJob: GoodJob::ActiveJobExtensions::Concurrency::ConcurrencyExceededError.
 */
export class ConcurrencyExceededError extends GoodJobError {
  static readonly rubyName: string = 'GoodJob::ActiveJobExtensions::Concurrency::ConcurrencyExceededError'
  /** The scope that is full: `label:<label>`, `key:<key>` or `all`. */
  readonly key: string | undefined
  readonly limit: number | undefined

  constructor(message?: string, { key, limit }: Exceeded = {}) {
    super(message)
    this.key = key
    this.limit = limit
  }
}

/** A concurrency rule refused a job, because its throttle is used up. GoodJob: GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError. */
export class ThrottleExceededError extends ConcurrencyExceededError {
  static override readonly rubyName = 'GoodJob::ActiveJobExtensions::Concurrency::ThrottleExceededError'
}

/** Thrown instead of running `perform()` after an interrupted attempt, if the class sets `interruptErrors`. GoodJob: GoodJob::InterruptError. */
export class InterruptError extends GoodJobError {
  static readonly rubyName = 'GoodJob::InterruptError'
}

/** Stored as the error of a job that was discarded manually. GoodJob: GoodJob::Job::DiscardJobError. */
export class DiscardJobError extends GoodJobError {
  static readonly rubyName = 'GoodJob::Job::DiscardJobError'
}

/** A manual action does not fit the state of the job. GoodJob: GoodJob::Job::ActionForStateMismatchError. */
export class ActionForStateMismatchError extends GoodJobError {
  static readonly rubyName = 'GoodJob::Job::ActionForStateMismatchError'
}

/** Another session holds the advisory lock of the row. GoodJob: GoodJob::AdvisoryLockable::RecordAlreadyAdvisoryLockedError. */
export class RecordAlreadyAdvisoryLockedError extends GoodJobError {
  static readonly rubyName = 'GoodJob::AdvisoryLockable::RecordAlreadyAdvisoryLockedError'
}

/** No row with this id. */
export class RecordMissingError extends GoodJobError {}

/** A batch cannot be recovered because some of its jobs are missing. The message names the missing proof. */
export class BatchUnprovenError extends GoodJobError {}

/** Postgres could not be reached within the connect timeout. */
export class ConnectionTimeoutError extends GoodJobError {}

// Each SQLSTATE of Postgres contains a digit. Five-letter codes without one, such as EPIPE, are Node's.
const SQLSTATE = /^(?=.*\d)[0-9A-Z]{5}$/

/** The SQLSTATE of a database error, or undefined for anything else. */
export const sqlState = (error: unknown): string | undefined => {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' && SQLSTATE.test(code) ? code : undefined
}

/** SQLSTATEs, and classes of SQLSTATEs, that are not caused by the statement's values: it may succeed when it is sent again. */
const PASSING: Readonly<Record<string, string>> = {
  '08': 'connection exceptions, also those of poolers and foreign servers',
  '0A000': 'a migration changed the result columns of a prepared statement: a new connection prepares it again',
  '25006': 'read-only transaction: the server is a standby until the failover ends',
  '25P02': 'the transaction had failed before this statement',
  '25P03': 'idle in a transaction for too long: the connection was ended',
  '25P04': 'transaction timeout: the connection was ended',
  '26000': 'a prepared statement is missing: another user of the connection discarded it with the rest of the session',
  '40': 'the transaction was rolled back: serialization failure, deadlock',
  '53': 'insufficient resources: disk full, out of memory, too many connections, a configured limit',
  '55': 'an object is not in the state that the statement needs: locked, in use, not accepting connections',
  '57': 'intervention by an operator or a timeout: cancelled, terminated, shutting down, starting up',
  '58': 'system error outside of Postgres',
  F0: 'configuration file error',
  HV: 'error of a foreign server',
  XX: 'internal error of Postgres, of an extension or of a pooler',
}

export const LOCK_NOT_AVAILABLE = '55P03'
export const SERIALIZATION_FAILURE = '40001'
export const READ_ONLY_TRANSACTION = '25006'
export const INSUFFICIENT_PRIVILEGE = '42501'
/** An index row is too large, or a value is nested too deeply. As the error of a COMMIT: the NOTIFY queue is full. */
export const PROGRAM_LIMIT_EXCEEDED = '54000'
const QUERY_CANCELED = '57014'
/** The SQLSTATEs in `PASSING` after which the connection cannot be used any more. */
const SESSION_ENDS = /^(08...|57P0.|25P0[34]|25006|0A000|26000)$/
/** Those of `SESSION_ENDS` that the server itself reports as FATAL. Reported as ERROR, a trigger or a foreign server raised them. */
const FATAL_ONLY = /^(08...|57P0.|25P0[34])$/

/**
 * Whether the tables do not fit the statement: a table or column is missing, or the role may not write to it. A migration or a GRANT in
 * progress may fix that; another value in the statement cannot.
 */
export const awaitsSchema = (error: unknown): boolean => /^(42...|3F000)$/.test(sqlState(error) ?? '')

/**
 * Whether the values of one row may have caused the error: cardinality (21), data (22), constraints (23), triggers and their functions
 * (09, 27, 2F, 38, 39, P0), WITH CHECK OPTION (44), limits (54). Only a second write with other values proves it: a trigger may raise P0001
 * for any reason.
 */
export const mayConcernRow = (error: unknown): boolean =>
  /^(09|21|22|23|27|2F|38|39|44|54|P0)/.test(sqlState(error) ?? '')

/** Whether Postgres cancelled the statement, because of a timeout or on an operator's request. */
export const isCancelled = (error: unknown): boolean => sqlState(error) === QUERY_CANCELED

/** Whether Postgres refused only this statement: after a rollback to a savepoint the transaction can continue. */
export const isRefusal = (error: unknown): boolean =>
  sqlState(error) !== undefined && !endsSession(error) && !isCancelled(error) && !/^40/.test(sqlState(error) ?? '')

const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOENT',
])

/** Whether the same statement may succeed when it is sent again: a lost connection, a restart, a deadlock. */
export const isRetryable = (error: unknown): boolean => {
  const state = sqlState(error)
  if (state !== undefined) return state in PASSING || state.slice(0, 2) in PASSING
  if (!(error instanceof Error)) return false
  if (error instanceof AggregateError) return error.errors.some(isRetryable)
  const code = (error as NodeJS.ErrnoException).code
  if (code !== undefined) return NETWORK_CODES.has(code)
  // pg sets no code on these errors: the socket was closed during a query or while connecting.
  return /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|Query read timeout)/.test(
    error.message,
  )
}

/** Whether a retryable error needs a new connection. After all other errors the session still holds its locks. */
export const endsSession = (error: unknown): boolean => {
  const state = sqlState(error)
  if (state === undefined) return isRetryable(error)
  // Postgres translates the severity. If it is not English, the SQLSTATE alone decides.
  const isError = (error as { readonly severity?: unknown }).severity === 'ERROR'
  return SESSION_ENDS.test(state) && !(isError && FATAL_ONLY.test(state))
}

/** Wraps a thrown value that is not an Error (`throw 'text'`); `value` keeps it. */
export class ThrownValueError extends GoodJobError {
  static readonly rubyName = 'StandardError'
  declare readonly value: unknown

  constructor(value: unknown) {
    super(textOf(value))
    // Not enumerable, because loggers write all enumerable properties, and this value may be anything.
    Object.defineProperty(this, 'value', { value, enumerable: false })
  }
}

const textOf = (value: unknown): string => {
  try {
    const message = (value as { message?: unknown } | null | undefined)?.message
    const text = typeof message === 'string' ? message : String(value)
    return text.trim() === '' ? 'an empty text was thrown' : text
  } catch {
    return 'a value without a text'
  }
}

/** `throwAbort()` was called outside of a before callback. Ruby: an uncaught `throw :abort`. */
export class CallbackAbortError extends GoodJobError {
  static readonly rubyName = 'UncaughtThrowError'

  constructor() {
    super('uncaught throw :abort')
  }
}

/** A job with steps broke a rule of continuations. Active Job 8.1: ActiveJob::Continuation::Error. */
export class ContinuationError extends GoodJobError {
  static readonly rubyName: string = 'ActiveJob::Continuation::Error'
}

/** A step was repeated, nested, or ran in another order than before. Active Job 8.1: ActiveJob::Continuation::InvalidStepError. */
export class InvalidStepError extends ContinuationError {
  static override readonly rubyName = 'ActiveJob::Continuation::InvalidStepError'
}

/** A cursor has no successor. Active Job 8.1: ActiveJob::Continuation::UnadvanceableCursorError. */
export class UnadvanceableCursorError extends ContinuationError {
  static override readonly rubyName = 'ActiveJob::Continuation::UnadvanceableCursorError'
}

/** A job was resumed `maxResumptions` times and was interrupted again. Active Job 8.1: ActiveJob::Continuation::ResumeLimitError. */
export class ResumeLimitError extends ContinuationError {
  static override readonly rubyName = 'ActiveJob::Continuation::ResumeLimitError'
}

/** Leaves a job with steps early; the job is enqueued again. Active Job 8.1: ActiveJob::Continuation::Interrupt. */
export class ContinuationInterrupt extends GoodJobError {
  static readonly rubyName = 'ActiveJob::Continuation::Interrupt'
}

/** A module of jobs cannot be loaded, exports no job class, or exports a class whose name is taken. */
export class ModuleError extends GoodJobError {}
