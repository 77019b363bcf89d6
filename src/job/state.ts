import type { JsonObject, JsonValue } from '../serialize/json.ts'
import type { CallerTransaction, QueueAdapter } from './adapters/queue-adapter.ts'
import type { Continuation } from './continuation/continuation.ts'
import { DETACHED_RUN, type JobRun } from './run.ts'

/** The key of a job's internal state. */
export const STATE: unique symbol = Symbol('good-job-node.state')

/** The occurrence of a cron entry for which a job is enqueued. */
export interface CronOccurrence {
  readonly key: string
  readonly at: Date
  /** The adapter of the worker, which also reads the settings of the entry. */
  readonly adapter: QueueAdapter
}

/** The part of a job that only this package reads. */
export class JobInternals {
  /** Serialized arguments that were not read yet, or could not be read; they are written back unchanged. */
  wire: JsonValue[] | null = null
  /** Top-level keys of the hash that belong to Ruby mixins; they are written back unchanged. */
  extra: JsonObject | null = null
  /** The transaction for the next enqueue. */
  transaction: CallerTransaction | undefined
  /**
   * The occurrence belongs to this job alone: jobs that its callbacks enqueue have none. In Ruby they have the same one, and the first row
   * of an occurrence prevents the others.
   */
  cron: CronOccurrence | undefined
  /** The caller's transaction that inserted the row. Only the server knows whether it was committed. */
  insertedIn: string | undefined
  run: JobRun = DETACHED_RUN
  continuation: Continuation | null = null
  /** The errors for which this run was retried, was discarded, or ended its retries. GoodJob: CurrentThread.error_on_retry … */
  retriedError: unknown
  discardedError: unknown
  retryStoppedError: unknown
}
