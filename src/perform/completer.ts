import type { ClientConfig } from 'pg'
import type { CheckOptions } from '../batch/completion.ts'
import { endsSession, isRetryable, sqlState, UNDEFINED_COLUMN, UNDEFINED_TABLE } from '../errors.ts'
import { events } from '../events.ts'
import type { Database } from '../sql/database.ts'
import { Session } from '../sql/session.ts'
import { backoffMs, sleep } from '../time.ts'
import { type CompletedAttempt, refusedOutcome } from './outcome.ts'
import { type OutcomeContext, type Settlement, writeOutcomes } from './outcome-transaction.ts'

export interface CompleterOptions {
  readonly database: Database
  readonly processId: string
  readonly keepsCreatedAt: boolean
  readonly check: CheckOptions
}

/** Attempts in one flush, at most: bounds the size of a statement and the time for which batch locks are held. */
const MAX_FLUSH = 500

/**
 * Writes the outcomes of attempts. Those that end while a flush is under way are written together by the next one; a lone
 * outcome is written at once. While Postgres is away the outcomes are kept and tried again.
 */
export class Completer {
  readonly #options: CompleterOptions
  readonly #session: Session
  #pending: CompletedAttempt[] = []
  #flushing: CompletedAttempt[] = []
  #loop: Promise<void> | undefined
  readonly #stopped = new AbortController()

  constructor(options: CompleterOptions) {
    this.#options = options
    this.#session = new Session({ config: completerConfig(options.database), settings: COMPLETER_SETTINGS })
  }

  /** Outcomes that are not committed yet. */
  get pendingCount(): number {
    return this.#pending.length + this.#flushing.length
  }

  async connect(): Promise<void> {
    await this.#session.connect()
  }

  complete(attempt: CompletedAttempt): void {
    this.#pending.push(attempt)
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined
    })
  }

  /** Resolves when everything handed in so far, and what follows meanwhile, is committed or dropped. */
  async drained(): Promise<void> {
    while (this.#loop) await this.#loop
  }

  /** Gives up what is not written; the jobs will run again as interrupted. */
  async close(): Promise<void> {
    this.#stopped.abort()
    // A flush that nobody answers ends when its connection does.
    await Promise.race([this.drained(), sleep(CLOSE_GRACE_MS)])
    await this.#session.close()
    await this.drained()
  }

  async #run(): Promise<void> {
    while (this.#pending.length > 0 && !this.#stopped.signal.aborted) {
      this.#flushing = this.#pending.splice(0, MAX_FLUSH)
      await this.#flush(this.#flushing)
      this.#flushing = []
    }
  }

  async #flush(attempts: readonly CompletedAttempt[]): Promise<void> {
    for (let attempt = 1; !this.#stopped.signal.aborted; attempt++) {
      const ours = dropLost(attempts)
      if (ours.length === 0) return
      if (!(await this.#isConnected(ours.length, attempt))) continue
      try {
        return announce(await writeOutcomes(this.#session, ours, await this.#context()))
      } catch (error) {
        // Without a SQLSTATE the server may still be busy with the statement: its answer must not meet the next one.
        if (sqlState(error) === undefined || endsSession(error)) this.#session.abandon(error as Error)
        if (!this.#isWorthAnotherTry(error, attempt)) return await this.#flushOneByOne(ours, error)
        await this.#pause(ours.length, error, attempt)
      }
    }
  }

  /** Whatever keeps us from connecting (a password that changed, too many connections) is no fault of the outcomes. */
  async #isConnected(jobs: number, attempt: number): Promise<boolean> {
    try {
      await this.#session.connect()
      return true
    } catch (error) {
      await this.#pause(jobs, error, attempt)
      return false
    }
  }

  async #pause(jobs: number, error: unknown, attempt: number): Promise<void> {
    events.emit('outcome_write_failed', { processId: this.#options.processId, jobs, error, attempt })
    await sleep(backoffMs(attempt), this.#stopped.signal)
  }

  /** A migration that ran meanwhile makes the statements name the wrong columns once. */
  #isWorthAnotherTry(error: unknown, attempt: number): boolean {
    this.#options.database.forgetFacts()
    if (isRetryable(error)) return true
    const state = sqlState(error)
    return attempt === 1 && (state === UNDEFINED_COLUMN || state === UNDEFINED_TABLE)
  }

  /** Postgres refuses something in this flush: find out what, so that it only concerns its own job. */
  async #flushOneByOne(attempts: readonly CompletedAttempt[], error: unknown): Promise<void> {
    const [only] = attempts
    if (attempts.length === 1 && only !== undefined) {
      if (only.isRefused) {
        events.emit('worker_error', { processId: this.#options.processId, part: 'completer', error })
        return only.settled('lost')
      }
      return this.#flush([refusedOutcome(only, error)])
    }
    for (const attempt of attempts) await this.#flush([attempt])
  }

  async #context(): Promise<OutcomeContext> {
    const { database, processId, keepsCreatedAt, check } = this.#options
    return { facts: await database.facts(), processId, keepsCreatedAt, check }
  }
}

const CLOSE_GRACE_MS = 1_000

const dropLost = (attempts: readonly CompletedAttempt[]): CompletedAttempt[] =>
  attempts.filter((attempt) => {
    if (!attempt.isLost()) return true
    attempt.settled('lost')
    return false
  })

const announce = (settlement: Settlement): void => {
  for (const [attempt, result] of settlement) attempt.settled(result)
}

/** Longer than anybody holds a batch lock; an answer that takes longer is taken for a lost connection. */
const ANSWER_TIMEOUT_MS = 30_000

const completerConfig = (database: Database): ClientConfig => ({
  ...database.sessionConfig('GoodJob::Completer'),
  query_timeout: ANSWER_TIMEOUT_MS,
})

/**
 * Every statement of an outcome finds its rows by key. A plan made while the tables were small would read them whole for the rest
 * of the session, so the other ways are ruled out.
 */
const COMPLETER_SETTINGS = {
  TimeZone: 'UTC',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
  statement_timeout: '0',
  lock_timeout: '0',
  transaction_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
}
