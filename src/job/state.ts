import type { JsonObject, JsonValue } from '../serialize/json.ts'
import type { CallerTransaction } from './adapters/queue-adapter.ts'
import type { Continuation } from './continuation/continuation.ts'
import { DETACHED_RUN, type JobRun } from './run.ts'

/** Where a job keeps what is none of its user's business. */
export const STATE: unique symbol = Symbol('good-job-node.state')

/** The part of a job that only this package reads. */
export class JobInternals {
  /** Serialized arguments that were not read yet, or could not be; they are written back as they came. */
  wire: JsonValue[] | null = null
  /** Top-level keys of the hash that belong to a mixin of the Ruby side; they are written back as they came. */
  extra: JsonObject | null = null
  /** For the next enqueue. */
  transaction: CallerTransaction | undefined
  /** The transaction of the caller's that inserted the row: whether it was committed is only known to the server. */
  insertedIn: string | undefined
  run: JobRun = DETACHED_RUN
  continuation: Continuation | null = null
  /** The errors that this run's retry, discard and end of retries were about. GoodJob: CurrentThread.error_on_retry … */
  retriedError: unknown
  discardedError: unknown
  retryStoppedError: unknown
}
