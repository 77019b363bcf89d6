import type { ClientConfig } from 'pg'
import type { CheckOptions } from '../../batch/completion/completion.ts'
import {
  awaitsSchema,
  endsSession,
  isCancelled,
  isRefusal,
  isRetryable,
  LOCK_NOT_AVAILABLE,
  sqlState,
} from '../../errors.ts'
import { events } from '../../events.ts'
import { Session } from '../../sql/connection/session.ts'
import type { Database } from '../../sql/database.ts'
import { backoffMs, sleep } from '../../time.ts'
import { type Blocker, findBlocked } from './blocked.ts'
import type { CompletedAttempt } from './outcome.ts'
import { siftOutcomes } from './sift.ts'
import { type OutcomeContext, type Settlement, writeOutcomes } from './transaction.ts'

export interface OutcomeWriterOptions {
  readonly database: Database
  readonly processId: string
  readonly keepsCreatedAt: boolean
  readonly notifies: boolean
  readonly check: CheckOptions
}

/** Tries in a row after a wait for a lock that nobody seems to hold; then it is a failure like any other, and told. */
const MAX_FREED = 3

/** Sessions lost in a row under a write, while others can be opened: it may be the outcomes that end them. */
const MAX_LOSSES = 3

/** Outcomes that wait for somebody's lock, with what is locked. */
export type BlockedOutcomes = ReadonlyMap<CompletedAttempt, Blocker>

/** What a write left unwritten, and how to go on with it. */
export interface Unwritten {
  /** Somebody has locked what they change. */
  readonly blocked: BlockedOutcomes
  /** Postgres refused them, or there was no time to find out whether it does. */
  readonly refused: readonly CompletedAttempt[]
  /** Others of the same write were written: what is refused must not be in their way. */
  readonly isRefusedApart: boolean
  /** The write of these took too long, or ended its session again and again. */
  readonly failed: readonly CompletedAttempt[]
}

export interface OutcomeWriterLimits {
  /** The longest wait for a lock. */
  readonly lockTimeoutMs: number
  /** The longest statement, which Postgres gives up then; 0: no limit. */
  readonly statementTimeoutMs: number
  /** An answer that takes longer is taken for a lost connection. */
  readonly answerTimeoutMs: number
}

/**
 * Writes outcomes through one connection, and does not give up while Postgres is away. What somebody's lock is in the way of, what is refused
 * and what takes too long is handed back.
 */
export class OutcomeWriter {
  readonly #options: OutcomeWriterOptions
  readonly #session: Session
  readonly #stopped: AbortSignal
  /** Writes in a row of which nothing was written. */
  #failures = 0
  /** The last write was refused: the next one finds out what. */
  #sifts = false

  /** After `stopped` aborts nothing is tried again. */
  constructor(options: OutcomeWriterOptions, limits: OutcomeWriterLimits, stopped: AbortSignal) {
    this.#options = options
    this.#stopped = stopped
    this.#session = new Session({ config: writerConfig(options.database, limits), settings: writerSettings(limits) })
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

  /** Settles these attempts, but for those that it answers. */
  async write(attempts: readonly CompletedAttempt[]): Promise<Unwritten> {
    const blocked = new Map<CompletedAttempt, Blocker>()
    let ours = attempts
    let losses = 0
    for (let attempt = 1; !this.#stopped.aborted; attempt++) {
      ours = dropLost(ours.filter((one) => !blocked.has(one)))
      if (ours.length === 0) break
      if (!(await this.#isConnected(ours.length, attempt))) continue
      try {
        return { ...(await this.#write(ours)), blocked }
      } catch (error) {
        if (this.#abandons(error)) losses += 1
        const found = sqlState(error) === LOCK_NOT_AVAILABLE ? await this.findBlocked(ours) : undefined
        for (const [one, blocker] of found ?? []) blocked.set(one, blocker)
        // None: the lock is free by now.
        if (found !== undefined && (found.size > 0 || attempt <= MAX_FREED)) continue
        // A migration that ran meanwhile makes the statements name the wrong columns once.
        this.#options.database.forgetFacts()
        if (isCancelled(error) || losses >= MAX_LOSSES) {
          this.#tell(ours.length, error, attempt)
          return { ...NOTHING_UNWRITTEN, blocked, failed: ours }
        }
        const hasSifted = this.#sifts
        this.#sifts = isRefusal(error)
        // A refusal is sifted at once, but not for ever without a pause: the sifting itself may be what is refused.
        const isNew = this.#sifts && !hasSifted && !isRetryable(error) && !awaitsSchema(error)
        if (!isNew) await this.#pause(ours.length, error, attempt)
      }
    }
    return { ...NOTHING_UNWRITTEN, blocked }
  }

  /** One transaction, or several statements of which each is one. */
  async #write(attempts: readonly CompletedAttempt[]): Promise<Omit<Unwritten, 'blocked'>> {
    if (!this.#sifts) {
      announce(await writeOutcomes(this.#session, attempts, await this.#context()))
      this.#failures = 0
      return NOTHING_UNWRITTEN
    }
    const { settlement, refused, untried } = await siftOutcomes(this.#session, attempts, await this.#context())
    announce(settlement)
    this.#sifts = settlement.size === 0
    const isRefusedApart = settlement.size > 0
    this.#failures = isRefusedApart ? 0 : this.#failures + 1
    const [error] = refused.values()
    if (isRefusedApart && refused.size > 0) this.#tell(refused.size, error, 1)
    if (!isRefusedApart) await this.#pause(attempts.length, error, this.#failures)
    return { refused: [...untried, ...refused.keys()], isRefusedApart, failed: [] }
  }

  /** Without a SQLSTATE the server may still be busy with the statement: its answer must not meet the next one. */
  #abandons(error: unknown): boolean {
    const isLost = sqlState(error) === undefined || endsSession(error)
    if (isLost) this.#session.abandon(error as Error, this.#session.end)
    return isLost
  }

  /** Those of these attempts for which somebody has a lock now; nothing is waited for or written. Undefined when nobody answers that. */
  async findBlocked(attempts: readonly CompletedAttempt[]): Promise<BlockedOutcomes | undefined> {
    try {
      await this.#session.connect()
      return await findBlocked(this.#session, attempts)
    } catch (error) {
      // Then the next write says what is wrong.
      this.#abandons(error)
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
    this.#tell(jobs, error, attempt)
    await sleep(backoffMs(attempt), this.#stopped)
  }

  #tell(jobs: number, error: unknown, attempt: number): void {
    events.emit('outcome_write_failed', { processId: this.#options.processId, jobs, error, attempt })
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

export const NOTHING_UNWRITTEN: Unwritten = { blocked: new Map(), refused: [], isRefusedApart: false, failed: [] }

/** A connection that is silently gone is found out by the keepalives, where an answer may take long. */
const KEEPALIVE_MS = 30_000

const writerConfig = (database: Database, { answerTimeoutMs }: OutcomeWriterLimits): ClientConfig => ({
  ...database.sessionConfig('GoodJob::Completer'),
  query_timeout: answerTimeoutMs,
  keepAlive: true,
  keepAliveInitialDelayMillis: KEEPALIVE_MS,
})

/**
 * Every statement of an outcome finds its rows by key. A plan made while the tables were small would read them whole for the rest
 * of the session, so the other ways are ruled out.
 */
const writerSettings = ({ lockTimeoutMs, statementTimeoutMs }: OutcomeWriterLimits) => ({
  TimeZone: 'UTC',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
  lock_timeout: String(lockTimeoutMs),
  statement_timeout: String(statementTimeoutMs),
  transaction_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
})
