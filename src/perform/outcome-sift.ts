import {
  type ApartChecks,
  announceChecks,
  announceRefusedChecks,
  checkBatchesApart,
  lockTouchedBatches,
  type RefusedCheck,
  type TouchedBatch,
} from '../batch/completion.ts'
import { INSUFFICIENT_PRIVILEGE, isRefusal, mayConcernRow, PROGRAM_LIMIT_EXCEEDED, sqlState } from '../errors.ts'
import { events } from '../events.ts'
import { inTransaction } from '../sql/database.ts'
import { checkConstraintsAtOnce, inSavepoint, limitLockWaits, rehearse } from '../sql/savepoint.ts'
import type { Queryable } from '../sql/types.ts'
import { freePlacesOf } from './freed-places.ts'
import {
  brokenAt,
  type CompletedAttempt,
  keptOutcome,
  refusedOutcome,
  type SettledAs,
  silentOutcome,
} from './outcome.ts'
import {
  batchesOf,
  type OutcomeContext,
  type Settlement,
  touchedBatches,
  type Written,
  writeRows,
} from './outcome-transaction.ts'

/** What became of outcomes that Postgres refused together. */
export interface Sifted {
  /** What was committed. */
  readonly settlement: Settlement
  /** What was not, and why: nothing proves that the job is to blame. */
  readonly refused: ReadonlyMap<CompletedAttempt, unknown>
  /** For which there was no time. */
  readonly untried: readonly CompletedAttempt[]
}

/** Batch locks are held while outcomes are sifted. */
const TIME_LIMIT_MS = 5_000
/** A lock that is waited for here is one that nobody knows of, e.g. of a trigger. */
const LOCK_TIMEOUT_MS = 50
/** So many refusals for no reason of their own, with nothing written between them, are everybody's trouble. */
const MAX_REFUSED = 8

/**
 * Writes, in one transaction, what Postgres takes of outcomes that it refused together. A batch whose check is refused keeps its state: the
 * outcome stands, its callbacks are the sweep's. The job is to blame for a refusal only where the same transaction proves it.
 */
export const siftOutcomes = async (
  db: Queryable,
  attempts: readonly CompletedAttempt[],
  context: OutcomeContext,
): Promise<Sifted> => {
  let terms: Terms = { isSilent: false, keptBatches: new Set(), excluded: new Map() }
  for (;;) {
    const sift = new Sift(db, attempts, context, terms)
    let isReady = false
    try {
      await inTransaction(db, async () => {
        await sift.run()
        isReady = true
      })
    } catch (error) {
      if (error instanceof OnOtherTerms) terms = error.terms
      // Only a COMMIT sends messages: their queue is full, because a session that listens does not end its transaction.
      else if (isReady && !terms.isSilent && sqlState(error) === PROGRAM_LIMIT_EXCEEDED)
        terms = { ...terms, isSilent: true }
      else throw error
      continue
    }
    sift.announce()
    await sift.checkJoined()
    await sift.freePlaces()
    return sift.result
  }
}

interface Terms {
  /** No messages are sent. */
  readonly isSilent: boolean
  /** Batches whose broken members are not deleted. */
  readonly keptBatches: ReadonlySet<string>
  /** Batches that cannot be checked for a reason that passes. */
  readonly excluded: ReadonlyMap<string, unknown>
}

/** The transaction is undone, and made anew on these terms. */
class OnOtherTerms extends Error {
  readonly terms: Terms

  constructor(terms: Terms) {
    super('the outcomes have to be written on other terms')
    this.terms = terms
  }
}

class Sift {
  readonly #db: Queryable
  readonly #context: OutcomeContext
  readonly #terms: Terms
  /** What is written, and the attempt that it is a form of. */
  readonly #forms: ReadonlyMap<CompletedAttempt, CompletedAttempt>
  readonly #deadline = performance.now() + TIME_LIMIT_MS
  readonly #written = {
    settlement: new Map<CompletedAttempt, SettledAs>(),
    joined: new Map<CompletedAttempt, string>(),
    repeated: new Set<CompletedAttempt>(),
    freeing: [] as CompletedAttempt[],
  }
  readonly #refused = new Map<CompletedAttempt, unknown>()
  readonly #blamed = new Map<CompletedAttempt, unknown>()
  readonly #untried: CompletedAttempt[] = []
  /** What was written in place of a form. */
  readonly #replaced = new Map<CompletedAttempt, CompletedAttempt>()
  #checks: ApartChecks = { checked: [], refused: [] }

  constructor(db: Queryable, attempts: readonly CompletedAttempt[], context: OutcomeContext, terms: Terms) {
    this.#db = db
    this.#terms = terms
    const { isSilent, keptBatches } = terms
    const isNotified = context.check.isNotified && !isSilent
    this.#context = { ...context, check: { ...context.check, isNotified } }
    const formOf = (attempt: CompletedAttempt): CompletedAttempt => {
      const isKept = attempt.write === 'delete' && keptBatches.has(attempt.row.batch_id ?? '')
      const form = isKept ? keptOutcome(attempt) : { ...attempt }
      return isSilent ? silentOutcome(form) : form
    }
    this.#forms = new Map(attempts.map((attempt) => [formOf(attempt), attempt]))
  }

  get result(): Sifted {
    const original = <T>(map: ReadonlyMap<CompletedAttempt, T>) =>
      new Map([...map].map(([form, value]) => [this.#original(form), value] as const))
    return {
      settlement: original(this.#written.settlement),
      refused: original(this.#refused),
      untried: this.#untried.map((form) => this.#original(form)),
    }
  }

  async run(): Promise<void> {
    await checkConstraintsAtOnce(this.#db)
    const forms = [...this.#forms.keys()]
    const batchIds = new Set(forms.flatMap(batchesOf))
    if (batchIds.size > 0) await lockTouchedBatches(this.#db, batchIds)
    await limitLockWaits(this.#db, LOCK_TIMEOUT_MS)
    await this.#write(forms.filter((form) => !this.#isExcluded(form)))
    for (const [form, error] of [...this.#refused]) if (!this.#isExcluded(form)) await this.#judge(form, error)
    await this.#check(batchIds)
  }

  #isExcluded(form: CompletedAttempt): boolean {
    const { excluded } = this.#terms
    const batchId = batchesOf(form).find((id) => excluded.has(id))
    if (batchId !== undefined) this.#refused.set(form, excluded.get(batchId))
    return batchId !== undefined
  }

  /** After the commit. */
  announce(): void {
    announceChecks(this.#checks.checked, this.#context.check)
    announceRefusedChecks(this.#checks.refused)
    const { processId } = this.#context
    for (const [form, error] of this.#blamed) {
      const { outcome, row } = this.#original(form)
      events.emit('outcome_refused', { processId, jobId: row.id, outcome, error })
    }
  }

  /** As after an ordinary write: the locks of batches that were joined meanwhile come after the commit. */
  async checkJoined(): Promise<void> {
    const { joined } = this.#written
    if (joined.size === 0) return
    const { facts, check } = this.#context
    const batchIds = new Set(joined.values())
    const touched = touchedBatches(this.#written, batchIds, (form) => joined.get(form) ?? null)
    const { checked, refused } = await inTransaction(this.#db, async () => {
      await lockTouchedBatches(this.#db, batchIds)
      return checkBatchesApart(this.#db, facts, touched, check)
    })
    announceChecks(checked, check)
    // The outcome is taken for unwritten and comes here once more.
    for (const { isPassing, error } of refused) if (isPassing) throw error
    announceRefusedChecks(refused)
  }

  /** What keeps a place from being freed must not keep an outcome here. */
  async freePlaces(): Promise<void> {
    try {
      await freePlacesOf(this.#db, this.#written.freeing, this.#context)
    } catch (error) {
      if (!isRefusal(error)) throw error
      events.emit('worker_error', { processId: this.#context.processId, part: 'concurrency claims', error })
    }
  }

  /** Halves what is refused until each refusal is about one outcome. */
  async #write(forms: readonly CompletedAttempt[]): Promise<void> {
    if (this.#isOver) {
      this.#untried.push(...forms)
      return
    }
    const tried = await inSavepoint(this.#db, () => writeRows(this.#db, forms, this.#context))
    if (!tried.isRefused) return this.#add(tried.value)
    const [only] = forms
    if (only !== undefined && forms.length === 1) {
      this.#refused.set(only, tried.error)
      return
    }
    const middle = forms.length >> 1
    await this.#write(forms.slice(0, middle))
    await this.#write(forms.slice(middle))
  }

  get #isOver(): boolean {
    if (performance.now() > this.#deadline) return true
    if (this.#written.settlement.size > 0 || this.#refused.size < MAX_REFUSED) return false
    return ![...this.#refused.values()].some(mayConcernRow)
  }

  #add({ settlement, joined, repeated, freeing }: Written): void {
    for (const [form, as] of settlement) this.#written.settlement.set(form, as)
    for (const [form, batchId] of joined) this.#written.joined.set(form, batchId)
    for (const form of repeated) this.#written.repeated.add(form)
    this.#written.freeing.push(...freeing)
  }

  /**
   * Ends the job with the refusal of its outcome, if that is proven: without its payload the outcome goes through, with it it is refused a
   * second time, without it it goes through again. What passes would have to come and go between the three.
   */
  async #judge(form: CompletedAttempt, error: unknown): Promise<void> {
    if (performance.now() > this.#deadline || !this.#canConcern(form, error)) return
    if (form.write === 'delete' && (await this.#replace(form, keptOutcome(form)))) return
    const stripped = refusedOutcome(form, error)
    if (!(await rehearse(this.#db, () => writeRows(this.#db, [stripped], this.#context)))) return
    const again = await inSavepoint(this.#db, () => writeRows(this.#db, [form], this.#context))
    if (!again.isRefused) {
      this.#refused.delete(form)
      this.#add(again.value)
    } else if (sqlState(again.error) === sqlState(error) && (await this.#replace(form, stripped))) {
      this.#blamed.set(form, error)
    }
  }

  /** A missing privilege refuses all outcomes of a kind, a policy some of them. */
  #canConcern({ write }: CompletedAttempt, error: unknown): boolean {
    if (sqlState(error) !== INSUFFICIENT_PRIVILEGE) return mayConcernRow(error)
    return [...this.#written.settlement.keys()].some((other) => other.write === write)
  }

  async #replace(form: CompletedAttempt, by: CompletedAttempt): Promise<boolean> {
    const tried = await inSavepoint(this.#db, () => writeRows(this.#db, [by], this.#context))
    if (tried.isRefused) return false
    this.#refused.delete(form)
    this.#replaced.set(by, form)
    this.#add(tried.value)
    return true
  }

  #original(form: CompletedAttempt): CompletedAttempt {
    const first = this.#replaced.get(form) ?? form
    return this.#forms.get(first) ?? first
  }

  /** The batches of what was written. */
  async #check(batchIds: ReadonlySet<string>): Promise<void> {
    const { settlement } = this.#written
    const ids = new Set([...settlement.keys()].flatMap(batchesOf).filter((id) => batchIds.has(id)))
    if (ids.size === 0) return
    const touched: readonly TouchedBatch[] = touchedBatches(this.#written, ids, ({ row }) => row.batch_id)
    const checks = await checkBatchesApart(this.#db, this.#context.facts, touched, this.#context.check)
    this.#assertNoneIsLost(checks.refused)
    this.#checks = checks
  }

  /**
   * What passes is waited for. A broken member whose batch was not told of it must keep its row: without it the batch would end in success.
   */
  #assertNoneIsLost(refused: readonly RefusedCheck[]): void {
    const passing = refused.filter(({ isPassing }) => isPassing)
    if (passing.length > 0) {
      const excluded = new Map([
        ...this.#terms.excluded,
        ...passing.map(({ batchId, error }) => [batchId, error] as const),
      ])
      throw new OnOtherTerms({ ...this.#terms, excluded })
    }
    const unchecked = new Set(refused.map(({ batchId }) => batchId))
    const isLost = (form: CompletedAttempt) =>
      form.write === 'delete' && brokenAt(form) !== undefined && unchecked.has(form.row.batch_id ?? '')
    if (![...this.#written.settlement.keys()].some(isLost)) return
    throw new OnOtherTerms({ ...this.#terms, keptBatches: new Set([...this.#terms.keptBatches, ...unchecked]) })
  }
}
