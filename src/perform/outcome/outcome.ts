import type { PreserveJobRecords } from '../../configuration.ts'
import type { ClaimedRow } from '../../sql/claim/claim.ts'
import type { ReenqueueRow } from '../../sql/outcome/outcomes.ts'
import { columnText } from '../../time.ts'
import type { ExecutionResult, Reenqueue } from '../attempt/execution.ts'

/** The one write that ends an attempt; 'release' stores nothing, so the job runs again as interrupted. */
export type OutcomeWrite = 'finish' | 'delete' | 'rerun' | 'reenqueue' | 'release'

/**
 * What became of an outcome: 'written'; 'released': the claim was released and nothing written, because another session finished
 * the job meanwhile or there was nothing to write; 'lost': dropped, because the job no longer belonged to this process.
 */
export type SettledAs = 'written' | 'released' | 'lost'

/** The outcome of an attempt, until it is committed or dropped. */
export interface Outcome {
  readonly row: ClaimedRow
  readonly result: ExecutionResult
  /** The scopes of concurrency rules in which the attempt had a place. */
  readonly claimKeys: readonly string[]
  readonly durationMs: number
  readonly write: OutcomeWrite
  /** Writes other than 'reenqueue' read only the columns of the outcome. */
  readonly columns: ReenqueueRow
  /** Called once, after the outcome is committed or dropped. */
  readonly settled: (as: SettledAs) => void
  /** True once the advisory lock was lost for good: the result must not be written. */
  readonly isLost: () => boolean
}

/** Takes the outcome of an attempt that has ended. */
export interface OutcomeTaker {
  /** Whether the rows of its attempts show that they were started. */
  readonly hasStarted: boolean
  complete(outcome: Outcome): void
}

export interface OutcomeOptions {
  readonly preserveJobRecords: PreserveJobRecords
  readonly retryOnUnhandledError: boolean
}

/** Returns the write that a result requires. GoodJob job.rb#perform, preserve rules of 4.15. */
export const decideWrite = (row: ClaimedRow, result: ExecutionResult, options: OutcomeOptions): OutcomeWrite => {
  if (result.reenqueue !== null) return 'reenqueue'
  if (result.isUnhandled && options.retryOnUnhandledError) return 'rerun'
  return isPreserved(row, result, options.preserveJobRecords) ? 'finish' : 'delete'
}

const isPreserved = (row: ClaimedRow, result: ExecutionResult, preserve: PreserveJobRecords): boolean => {
  if (row.cron_key !== null || preserve === true) return true
  if (preserve === 'on_unhandled_error') return result.isUnhandled
  if (typeof preserve !== 'function') return false
  try {
    return Boolean(preserve(result.job, result.cause, result.errorEvent))
  } catch {
    // GoodJob: a callable that raises keeps the record.
    return true
  }
}

/** The columns of a result; `claimedAt` is the time of the claim, the fence of the write. */
export const outcomeColumns = (
  row: ClaimedRow,
  result: ExecutionResult,
  times: {
    readonly claimedAt: string
    readonly finishedAt: string
    readonly durationMs: number
    readonly notifies: boolean
  },
): ReenqueueRow => ({
  id: row.id,
  lockedAt: times.claimedAt,
  executionId: row.execution_id,
  finishedAt: times.finishedAt,
  durationSeconds: Math.max(0, times.durationMs) / 1000,
  error: result.error?.text ?? null,
  errorEvent: result.errorEvent,
  backtrace: result.error?.backtrace ?? null,
  serializedParams: result.reenqueue?.serializedParams ?? '',
  jobClass: result.reenqueue?.jobClass ?? '',
  queueName: result.reenqueue?.queueName ?? '',
  priority: result.reenqueue?.priority ?? 0,
  createdAt: result.reenqueue?.createdAt ?? times.finishedAt,
  scheduledAt: startOf(result.reenqueue) ?? times.finishedAt,
  labels: result.reenqueue?.labels ?? null,
  isNotified: times.notifies && (result.reenqueue?.notify ?? false),
})

const startOf = (reenqueue: Reenqueue | null): string | undefined =>
  reenqueue?.scheduledAt ? columnText(reenqueue.scheduledAt) : reenqueue?.createdAt

/** The same outcome without its payload: Postgres refused the payload, so the job finishes with the refusal as its error. */
export const refusedOutcome = (outcome: Outcome, error: unknown): Outcome => ({
  ...outcome,
  write: 'finish',
  columns: {
    ...outcome.columns,
    error: `StandardError: the outcome of this attempt (${outcome.result.outcome}) could not be stored: ${error instanceof Error ? error.message : String(error)}`,
    errorEvent: 1,
    backtrace: [],
  },
})

/** The same outcome with its row kept: a reference to the row may prevent its deletion. */
export const keptOutcome = (outcome: Outcome): Outcome => ({ ...outcome, write: 'finish' })

/** The same outcome without a notification of the workers: they find the job at their next poll. */
export const silentOutcome = (outcome: Outcome): Outcome => ({
  ...outcome,
  columns: { ...outcome.columns, isNotified: false },
})

/** When this outcome breaks a member of its batch; undefined if it does not. */
export const brokenAt = ({ write, columns }: Outcome): string | undefined =>
  (write === 'finish' || write === 'delete') && columns.error !== null ? columns.finishedAt : undefined
