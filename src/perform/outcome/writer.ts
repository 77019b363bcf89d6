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
import { pgConnection } from '../../sql/connection/pg-connection.ts'
import { Session } from '../../sql/connection/session.ts'
import type { Database } from '../../sql/database.ts'
import { backoffMs, sleep } from '../../time.ts'
import { type Blocker, findBlocked } from './blocked.ts'
import type { Outcome } from './outcome.ts'
import { siftOutcomes } from './sift.ts'
import { type OutcomeContext, type Settlement, writeOutcomes } from './transaction.ts'

export interface OutcomeWriterOptions {
  readonly database: Database
  readonly processId: string
  readonly keepsCreatedAt: boolean
  readonly notifies: boolean
  readonly onFreed?: OutcomeContext['onFreed']
  readonly check: CheckOptions
}

/** Tries in a row after a wait for a lock that no session seems to hold; after that it is a failure like any other, and reported. */
const MAX_FREED = 3

/** Sessions lost in a row during a write, while others can be opened: the outcomes themselves may end them. */
const MAX_LOSSES = 3

/** Outcomes that wait for a lock of another session, with what is locked. */
export type BlockedOutcomes = ReadonlyMap<Outcome, Blocker>

/** The outcomes that a write left unwritten, by reason. */
export interface Unwritten {
  /** Another session has locked rows or batches that they change. */
  readonly blocked: BlockedOutcomes
  /** Postgres refused them, or there was no time to find out whether it does. */
  readonly refused: readonly Outcome[]
  /** Other outcomes of the same write were written: the refused ones must not delay them. */
  readonly isRefusedApart: boolean
  /** The write of these outcomes took too long, or ended its session again and again. */
  readonly failed: readonly Outcome[]
}

export interface OutcomeWriterLimits {
  /** The longest wait for a lock. */
  readonly lockTimeoutMs: number
  /** The longest statement, which Postgres cancels after that; 0: no limit. */
  readonly statementTimeoutMs: number
  /** A response that takes longer counts as a lost connection. */
  readonly answerTimeoutMs: number
}

/**
 * Writes outcomes through one connection, and keeps trying while Postgres is unreachable. Outcomes that wait for a lock, that are
 * refused, or that take too long are returned.
 */
export class OutcomeWriter {
  readonly #options: OutcomeWriterOptions
  readonly #session: Session
  readonly #stopped: AbortSignal
  /** Writes in a row that wrote nothing. */
  #failures = 0
  /** The last write was refused: the next write finds out which outcomes are. */
  #sifts = false

  /** After `stopped` aborts no write is tried again. */
  constructor(options: OutcomeWriterOptions, limits: OutcomeWriterLimits, stopped: AbortSignal) {
    this.#options = options
    this.#stopped = stopped
    this.#session = new Session({
      config: writerConfig(options.database, limits),
      createConnection: pgConnection,
      settings: writerSettings(limits),
    })
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

  /** Settles these outcomes, except those that it returns. */
  async write(outcomes: readonly Outcome[]): Promise<Unwritten> {
    const blocked = new Map<Outcome, Blocker>()
    let ours = outcomes
    let losses = 0
    for (let tries = 1; !this.#stopped.aborted; tries++) {
      ours = dropLost(ours.filter((one) => !blocked.has(one)))
      if (ours.length === 0) break
      if (!(await this.#isConnected(ours.length, tries))) continue
      try {
        return { ...(await this.#write(ours)), blocked }
      } catch (error) {
        if (this.#abandons(error)) losses += 1
        const found = sqlState(error) === LOCK_NOT_AVAILABLE ? await this.findBlocked(ours) : undefined
        for (const [one, blocker] of found ?? []) blocked.set(one, blocker)
        // No blocker found: the lock is free by now.
        if (found !== undefined && (found.size > 0 || tries <= MAX_FREED)) continue
        // After a migration at run time the statements name the wrong columns once.
        this.#options.database.forgetFacts()
        if (isCancelled(error) || losses >= MAX_LOSSES) {
          this.#report(ours.length, error, tries)
          return { ...NOTHING_UNWRITTEN, blocked, failed: ours }
        }
        const hasSifted = this.#sifts
        this.#sifts = isRefusal(error)
        // A refusal is sifted at once, but not repeatedly without a pause: the sifting itself may be refused.
        const isNew = this.#sifts && !hasSifted && !isRetryable(error) && !awaitsSchema(error)
        if (!isNew) await this.#pause(ours.length, error, tries)
      }
    }
    return { ...NOTHING_UNWRITTEN, blocked }
  }

  /** One transaction, or several statements that are a transaction each. */
  async #write(outcomes: readonly Outcome[]): Promise<Omit<Unwritten, 'blocked'>> {
    if (!this.#sifts) {
      announce(await writeOutcomes(this.#session, outcomes, await this.#context()))
      this.#failures = 0
      return NOTHING_UNWRITTEN
    }
    const { settlement, refused, untried } = await siftOutcomes(this.#session, outcomes, await this.#context())
    announce(settlement)
    this.#sifts = settlement.size === 0
    const isRefusedApart = settlement.size > 0
    this.#failures = isRefusedApart ? 0 : this.#failures + 1
    const [error] = refused.values()
    if (isRefusedApart && refused.size > 0) this.#report(refused.size, error, 1)
    if (!isRefusedApart) await this.#pause(outcomes.length, error, this.#failures)
    return { refused: [...untried, ...refused.keys()], isRefusedApart, failed: [] }
  }

  /** Without a SQLSTATE the server may still execute the statement: its response must not be taken for that of the next one. */
  #abandons(error: unknown): boolean {
    const isLost = sqlState(error) === undefined || endsSession(error)
    if (isLost) this.#session.abandon(error as Error, this.#session.end)
    return isLost
  }

  /**
   * Returns those outcomes for which another session holds a lock now; waits for no lock and writes nothing. Undefined if the query
   * fails.
   */
  async findBlocked(outcomes: readonly Outcome[]): Promise<BlockedOutcomes | undefined> {
    try {
      await this.#session.connect()
      return await findBlocked(this.#session, outcomes)
    } catch (error) {
      // The next write reports the error.
      this.#abandons(error)
      return undefined
    }
  }

  /** An error that prevents a connection (a changed password, too many connections) is no fault of the outcomes. */
  async #isConnected(jobs: number, tries: number): Promise<boolean> {
    try {
      await this.#session.connect()
      return true
    } catch (error) {
      await this.#pause(jobs, error, tries)
      return false
    }
  }

  async #pause(jobs: number, error: unknown, tries: number): Promise<void> {
    this.#report(jobs, error, tries)
    await sleep(backoffMs(tries), this.#stopped)
  }

  #report(jobs: number, error: unknown, tries: number): void {
    events.emit('outcome_write_failed', { processId: this.#options.processId, jobs, error, attempt: tries })
  }

  async #context(): Promise<OutcomeContext> {
    const { database, processId, keepsCreatedAt, notifies, check, onFreed } = this.#options
    return { facts: await database.facts(this.#session), processId, keepsCreatedAt, notifies, check, onFreed }
  }
}

const dropLost = (outcomes: readonly Outcome[]): Outcome[] =>
  outcomes.filter((outcome) => {
    if (!outcome.isLost()) return true
    outcome.settled('lost')
    return false
  })

const announce = (settlement: Settlement): void => {
  for (const [outcome, result] of settlement) outcome.settled(result)
}

export const NOTHING_UNWRITTEN: Unwritten = { blocked: new Map(), refused: [], isRefusedApart: false, failed: [] }

/** The keepalives detect a silently lost connection where a response may take long, milliseconds. */
const KEEPALIVE_MS = 30_000

const writerConfig = (database: Database, { answerTimeoutMs }: OutcomeWriterLimits): ClientConfig => ({
  ...database.sessionConfig('GoodJob::Completer'),
  query_timeout: answerTimeoutMs,
  keepAlive: true,
  keepAliveInitialDelayMillis: KEEPALIVE_MS,
})

/**
 * Every statement of an outcome finds its rows by key. A plan made while the tables were small would read them whole for the rest
 * of the session, so all other kinds of scan are disabled.
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
