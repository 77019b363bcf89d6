import type { ClientConfig } from 'pg'
import type { CheckOptions } from '../batch/completion.ts'
import { awaitsSchema, endsSession, isRetryable, LOCK_NOT_AVAILABLE, sqlState } from '../errors.ts'
import { events } from '../events.ts'
import type { Database } from '../sql/database.ts'
import { Session } from '../sql/session.ts'
import { backoffMs, sleep } from '../time.ts'
import { type Blocker, findBlocked } from './blocked-outcomes.ts'
import { type CompletedAttempt, refusedOutcome } from './outcome.ts'
import { type OutcomeContext, type Settlement, writeOutcomes } from './outcome-transaction.ts'

export interface OutcomeWriterOptions {
  readonly database: Database
  readonly processId: string
  readonly keepsCreatedAt: boolean
  readonly notifies: boolean
  readonly check: CheckOptions
}

/** Tries in a row after a wait for a lock that nobody seems to hold; then it is a failure like any other, and told. */
const MAX_FREED = 3

/** Outcomes that wait for somebody's lock, with what is locked. */
export type BlockedOutcomes = ReadonlyMap<CompletedAttempt, Blocker>

/**
 * Writes outcomes through one connection, and does not give up while Postgres is away or refuses some of them. It waits only so
 * long for a lock: what somebody holds longer is handed back.
 */
export class OutcomeWriter {
  readonly #options: OutcomeWriterOptions
  readonly #session: Session
  readonly #stopped: AbortSignal

  /** `lockTimeoutMs` is the longest wait for a lock; after `stopped` aborts nothing is tried again. */
  constructor(
    options: OutcomeWriterOptions,
    { lockTimeoutMs, stopped }: { readonly lockTimeoutMs: number; readonly stopped: AbortSignal },
  ) {
    this.#options = options
    this.#stopped = stopped
    const settings = { ...WRITER_SETTINGS, lock_timeout: String(lockTimeoutMs) }
    this.#session = new Session({ config: writerConfig(options.database), settings })
  }

  get isConnected(): boolean {
    return this.#session.isConnected
  }

  async connect(): Promise<void> {
    await this.#session.connect()
  }

  close(): Promise<void> {
    return this.#session.close()
  }

  /** Settles these attempts, but for those whose batch or row is locked by somebody: it answers them. */
  async write(attempts: readonly CompletedAttempt[]): Promise<BlockedOutcomes> {
    const blocked = new Map<CompletedAttempt, Blocker>()
    let ours = attempts
    for (let attempt = 1; !this.#stopped.aborted; attempt++) {
      ours = dropLost(ours.filter((one) => !blocked.has(one)))
      if (ours.length === 0) break
      if (!(await this.#isConnected(ours.length, attempt))) continue
      try {
        announce(await writeOutcomes(this.#session, ours, await this.#context()))
        break
      } catch (error) {
        // Without a SQLSTATE the server may still be busy with the statement: its answer must not meet the next one.
        if (sqlState(error) === undefined || endsSession(error)) this.#session.abandon(error as Error)
        const found = sqlState(error) === LOCK_NOT_AVAILABLE ? await this.findBlocked(ours) : undefined
        for (const [one, blocker] of found ?? []) blocked.set(one, blocker)
        // None: the lock is free by now.
        if (found !== undefined && (found.size > 0 || attempt <= MAX_FREED)) continue
        // A migration that ran meanwhile makes the statements name the wrong columns once.
        this.#options.database.forgetFacts()
        if (!isRetryable(error) && !awaitsSchema(error)) {
          for (const [one, blocker] of await this.#writeOneByOne(ours, error)) blocked.set(one, blocker)
          break
        }
        await this.#pause(ours.length, error, attempt)
      }
    }
    return blocked
  }

  /** Those of these attempts for which somebody has a lock now; nothing is waited for or written. Undefined when nobody answers that. */
  async findBlocked(attempts: readonly CompletedAttempt[]): Promise<BlockedOutcomes | undefined> {
    try {
      await this.#session.connect()
      return await findBlocked(this.#session, attempts)
    } catch (error) {
      // Then the next write says what is wrong.
      if (sqlState(error) === undefined || endsSession(error)) this.#session.abandon(error as Error)
      return undefined
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
    await sleep(backoffMs(attempt), this.#stopped)
  }

  /** Postgres refuses something in these: find out what, so that it only concerns its own job. */
  async #writeOneByOne(attempts: readonly CompletedAttempt[], error: unknown): Promise<BlockedOutcomes> {
    const [only] = attempts
    if (attempts.length === 1 && only !== undefined) {
      if (!only.isRefused) return this.write([refusedOutcome(only, error)])
      events.emit('worker_error', { processId: this.#options.processId, part: 'completer', error })
      only.settled('lost')
      return new Map()
    }
    const blocked = new Map<CompletedAttempt, Blocker>()
    for (const attempt of attempts) {
      for (const [one, blocker] of await this.write([attempt])) blocked.set(one, blocker)
    }
    return blocked
  }

  async #context(): Promise<OutcomeContext> {
    const { database, processId, keepsCreatedAt, notifies, check } = this.#options
    return { facts: await database.facts(this.#session), processId, keepsCreatedAt, notifies, check }
  }
}

const dropLost = (attempts: readonly CompletedAttempt[]): CompletedAttempt[] =>
  attempts.filter((attempt) => {
    if (!attempt.isLost()) return true
    attempt.settled('lost')
    return false
  })

const announce = (settlement: Settlement): void => {
  for (const [attempt, result] of settlement) attempt.settled(result)
}

/** No statement waits for a lock that long; an answer that takes longer is taken for a lost connection. */
const ANSWER_TIMEOUT_MS = 30_000

const writerConfig = (database: Database): ClientConfig => ({
  ...database.sessionConfig('GoodJob::Completer'),
  query_timeout: ANSWER_TIMEOUT_MS,
})

/**
 * Every statement of an outcome finds its rows by key. A plan made while the tables were small would read them whole for the rest
 * of the session, so the other ways are ruled out.
 */
const WRITER_SETTINGS = {
  TimeZone: 'UTC',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
  statement_timeout: '0',
  transaction_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
}
