import type { Batch } from '../batch/batch.ts'
import type { Lane } from '../claim/lane.ts'
import type { Configuration } from '../configuration.ts'
import { GoodJobError } from '../errors.ts'
import { type EventMap, events } from '../events.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import { readString } from '../job/exceptions/error-reading.ts'
import type { ClaimedRow } from '../sql/claim/claim.ts'
import { type Clock, systemClock } from '../time.ts'
import type { Attempt } from './attempt/attempt.ts'
import { type ExecutionResult, execute, failureOf } from './attempt/execution.ts'
import type { WorkerContext } from './attempt/run.ts'
import { type Claim, Claimer, type PoolClaim } from './claimer.ts'
import type { LimitedClaims, PoolLimits } from './limits/pool-limits.ts'
import type { Candidate } from './limits/rule-book.ts'
import type { Completer } from './outcome/completer.ts'
import { decideWrite, type Outcome, outcomeColumns, type SettledAs } from './outcome/outcome.ts'
import type { StartPolicy } from './start-policy.ts'

export interface JobPerformerOptions {
  readonly processId: string
  readonly configuration: Configuration
  readonly clock: Clock
  readonly registry: JobRegistry
  readonly completer: Completer
  readonly starts: StartPolicy
  readonly worker: WorkerContext
  /** Tries until it succeeds or `signal` aborts. */
  readonly loadBatches: (ids: readonly string[], signal: AbortSignal) => Promise<ReadonlyMap<string, Batch>>
  /** Called when an outcome is committed or dropped. `unlocked` resolves when the job's advisory lock is free. */
  readonly onSettled: (outcome: Outcome, as: SettledAs, unlocked: Promise<void>) => void
  /** Called before jobs run, because they may block the event loop. */
  readonly beforeJobs: readonly (() => void)[]
}

/** The life of a job in this process: claim, perform, complete. GoodJob: JobPerformer. */
export class JobPerformer {
  readonly #options: JobPerformerOptions
  readonly #claimer: Claimer
  readonly #attempts = new Map<string, Attempt>()
  readonly #aborting = new AbortController()

  constructor(options: JobPerformerOptions) {
    this.#options = options
    this.#claimer = new Claimer(options)
  }

  /** Every attempt from claim to settled outcome, by job id. */
  get attempts(): ReadonlyMap<string, Attempt> {
    return this.#attempts
  }

  get pendingOutcomes(): number {
    return this.#options.completer.pendingCount
  }

  /** When the oldest of the attempts ended whose outcomes are not settled yet, by `performance.now()`; undefined: there are none. */
  get unsettledSinceMs(): number | undefined {
    let oldest: number | undefined
    for (const { endedMs } of this.#attempts.values()) {
      if (endedMs !== undefined && (oldest === undefined || endedMs < oldest)) oldest = endedMs
    }
    return oldest
  }

  /** Claims up to `limit` jobs of the registered classes; none of them runs yet. `limit` is called when it is the claim's turn. */
  async claim(lane: Lane, pool: PoolClaim, limit: () => number): Promise<Claim> {
    const claim = await this.#claimer.claim(lane, pool, limit)
    this.#register(claim.attempts)
    return claim
  }

  /** Starts those of the jobs that have a place under their concurrency rules; none of them runs yet. */
  async admit(lane: Lane, limits: PoolLimits, candidates: readonly Candidate[]): Promise<readonly Attempt[]> {
    const attempts = await this.#claimer.admit(lane, limits, candidates)
    this.#register(attempts)
    return attempts
  }

  /** Returns up to `limit` jobs that waited for a place and may have one now. */
  nextWaiting(limits: PoolLimits, limit: number, claims: LimitedClaims): Promise<readonly Candidate[]> {
    return this.#claimer.nextWaiting(limits, limit, claims)
  }

  #register(attempts: readonly Attempt[]): void {
    for (const attempt of attempts) {
      this.#attempts.set(attempt.row.id, attempt)
      if (this.#aborting.signal.aborted) attempt.abort(this.#aborting.signal.reason)
    }
    if (attempts.length > 0) this.#reporting('guard', () => this.#prepare())
  }

  #prepare(): void {
    for (const step of this.#options.beforeJobs) step()
  }

  /** Resolves when every outcome handed in so far, and every outcome that follows meanwhile, is committed or dropped. */
  async drained(): Promise<void> {
    await this.#options.starts.drained()
    await this.#options.completer.drained()
  }

  /** Reads the batches of a claim together, so that `job.batch` is available when a job reads it. */
  loadBatches(attempts: readonly Attempt[]): Promise<ReadonlyMap<string, Batch>> {
    const ids = new Set(attempts.flatMap(({ row }) => row.batch_id ?? row.batch_callback_id ?? []))
    return ids.size === 0 ? Promise.resolve(NO_BATCHES) : this.#options.loadBatches([...ids], this.#aborting.signal)
  }

  /** Asks all running jobs to stop; claimed jobs that have not begun do not begin. */
  abort(): void {
    const reason = new GoodJobError('the worker shut down while the job ran')
    this.#aborting.abort(reason)
    for (const attempt of this.#attempts.values()) attempt.abort(reason)
  }

  /**
   * The steps of an attempt: interrupted? → execute → decide → complete. A step that may keep a job from being executed is written
   * like the first one: it returns the result, or undefined. Resolves when the completer has the outcome. Never rejects: any error
   * around `perform()` of the job is a failure of this attempt alone.
   */
  async perform(attempt: Attempt, batches: ReadonlyMap<string, Batch>): Promise<ExecutionResult> {
    let result: ExecutionResult
    try {
      result = interruption(attempt) ?? (await this.#execute(attempt, batches))
    } catch (error) {
      result = failureOf(error)
    }
    attempt.end()
    const outcome = this.#outcomeOf(attempt, result)
    attempt.taker.complete(outcome)
    return outcome.result
  }

  /** Drops the results of attempts whose lock is lost. */
  lose(jobIds: readonly string[]): void {
    for (const id of jobIds) {
      this.#attempts.get(id)?.lose(new GoodJobError(`the advisory lock of job ${id} was lost; it may run elsewhere`))
    }
  }

  #execute(attempt: Attempt, batches: ReadonlyMap<string, Batch>): Promise<ExecutionResult> {
    const { row } = attempt
    const jobClass = this.#options.registry.get(row.job_class)
    if (jobClass === undefined) throw new GoodJobError(`claimed a job of the unregistered class ${row.job_class}`)
    return execute(
      {
        jobClass,
        id: row.id,
        serializedParams: row.serialized_params ?? 'null',
        labels: row.labels,
        concurrencyKey: row.concurrency_key,
        interruptedAt: row.interrupted_at === null ? null : new Date(row.interrupted_at),
        rulesError: attempt.limits.error,
        batch: batches.get(row.batch_id ?? row.batch_callback_id ?? '') ?? null,
      },
      this.#options.worker,
      attempt,
    )
  }

  /** Decides what is written. If the user's clock or callback throws here, the attempt fails. */
  #outcomeOf(attempt: Attempt, result: ExecutionResult): Outcome {
    try {
      return this.#decide(attempt, result, this.#options.clock)
    } catch (error) {
      return this.#decide(attempt, failureOf(error), systemClock)
    }
  }

  #decide(attempt: Attempt, result: ExecutionResult, clock: Clock): Outcome {
    const { configuration } = this.#options
    const { row, claimedAt, startedMs } = attempt
    const durationMs = clock.monotonic() - startedMs
    const finishedAt = clock.timestamp()
    const notifies = configuration.enableListenNotify
    const outcome: Outcome = {
      row,
      result,
      claimKeys: attempt.limits.claimKeys,
      write: isDropped(attempt, result) ? 'release' : decideWrite(row, result, configuration),
      durationMs,
      columns: outcomeColumns(row, result, { claimedAt, finishedAt, durationMs, notifies }),
      isLost: () => attempt.state === 'lost',
      settled: (as) => this.#reporting('settlement', () => this.#settle(attempt, outcome, as)),
    }
    return outcome
  }

  /** An error here is not a job's fault, and must not keep other jobs from being run or written. */
  #reporting(part: string, work: () => void): void {
    try {
      work()
    } catch (error) {
      events.emit('worker_error', { processId: this.#options.processId, part, error })
    }
  }

  #settle(attempt: Attempt, outcome: Outcome, as: SettledAs): void {
    const { row, lane } = attempt
    const { result, durationMs } = outcome
    // A job whose lock was lost may run here again while its previous attempt still does.
    if (this.#attempts.get(row.id) === attempt) this.#attempts.delete(row.id)
    const unlocked = lane.release({ id: row.id, lockedAt: attempt.claimedAt })
    const job = this.#jobEvent(row)
    if (as === 'written') {
      const error = result.error?.text
      events.emit('perform_job', {
        ...job,
        durationMs,
        outcome: result.outcome,
        ...(error === undefined ? {} : { error }),
      })
    } else {
      events.emit('outcome_lost', { ...job, outcome: result.outcome, ...whyLost(attempt, outcome, as) })
    }
    this.#options.onSettled(outcome, as, unlocked)
  }

  #jobEvent(row: ClaimedRow) {
    return {
      jobId: row.id,
      jobClass: row.job_class,
      queueName: row.queue_name,
      executions: row.executions_count,
      processId: this.#options.processId,
    }
  }
}

const NO_BATCHES: ReadonlyMap<string, Batch> = new Map()

/** The result of an attempt that was asked to stop before it began. */
const interruption = ({ state }: Attempt): ExecutionResult | undefined => (state === 'running' ? undefined : NOT_BEGUN)

/** Never written: the reason that stopped the attempt also drops this result. */
const NOT_BEGUN: ExecutionResult = {
  outcome: 'interrupted',
  error: { text: 'GoodJob::InterruptedError: asked to stop before it began', backtrace: [] },
  errorEvent: 0,
  isUnhandled: true,
  reenqueue: null,
  job: null,
}

/**
 * A job that was asked to stop and threw did not fail: it runs again as interrupted, as after Ruby killed its thread. A change that
 * another session made to the job while it ran stands, even if that session has let the job wait again since.
 */
const isDropped = ({ state }: Attempt, result: ExecutionResult): boolean =>
  state === 'withdrawn' || (state === 'aborted' && result.error !== null)

const whyLost = (
  attempt: Attempt,
  { result, write }: Outcome,
  as: SettledAs,
): Pick<EventMap['outcome_lost'], 'reason' | 'isInterrupted' | 'error'> => {
  if (as === 'lost') return { reason: 'the job no longer belonged to this process' }
  if (write !== 'release' || attempt.state === 'withdrawn') {
    return { reason: 'the job was finished by another session while it ran' }
  }
  const { cause } = result
  const isRequest =
    cause === undefined || cause === attempt.signal.reason || readString(() => (cause as Error).name) === 'AbortError'
  return { reason: 'interrupted by the shutdown', isInterrupted: true, ...(isRequest ? {} : { error: cause }) }
}
