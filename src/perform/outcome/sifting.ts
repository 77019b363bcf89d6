import {
  type ApartChecks,
  announceChecks,
  announceRefusedChecks,
  checkBatchesApart,
  lockTouchedBatches,
  type RefusedCheck,
  type TouchedBatch,
} from '../../batch/completion/completion.ts'
import { INSUFFICIENT_PRIVILEGE, isRefusal, mayConcernRow, sqlState } from '../../errors.ts'
import { events } from '../../events.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import { inTransaction } from '../../sql/transaction/read-committed.ts'
import { inSavepoint, limitLockWaits, openSavepoint, rehearse, type Tried } from '../../sql/transaction/savepoint.ts'
import { freePlacesOf } from './freed-places.ts'
import { brokenAt, keptOutcome, type Outcome, refusedOutcome, type SettledAs, silentOutcome } from './outcome.ts'
import { type Accused, OnOtherTerms, type Reason, type Sifted, type Terms } from './sifting-terms.ts'
import { batchesOf, type OutcomeContext, touchedBatches, type Written, writeRows } from './transaction.ts'

/** Limited, because batch locks are held while outcomes are sifted. */
const TIME_LIMIT_MS = 5_000
/** The locks of batches and rows are held already; a wait here is for an unknown lock, e.g. of a trigger. */
const LOCK_TIMEOUT_MS = 50
/** After this many refusals without a cause of their own, with nothing written in between, the problem concerns all outcomes. */
const MAX_REFUSED = 8

/** Writes refused outcomes within one transaction, and records what became of each. */
export class OutcomeSifting {
  readonly #db: Queryable
  readonly #context: OutcomeContext
  readonly #terms: Terms
  /** The form that is written, and the outcome that it is a form of. */
  readonly #forms: ReadonlyMap<Outcome, Outcome>
  readonly #deadline = performance.now() + TIME_LIMIT_MS
  readonly #written = {
    settlement: new Map<Outcome, SettledAs>(),
    joined: new Map<Outcome, string>(),
    repeated: new Set<Outcome>(),
    freeing: [] as Outcome[],
  }
  readonly #refused = new Map<Outcome, unknown>()
  readonly #blamed = new Map<Outcome, unknown>()
  readonly #untried: Outcome[] = []
  /** Whether all outcomes are accepted without their payload; determined at the first refusal. */
  #endsWithout: boolean | undefined
  #refusedInRow = 0
  readonly #replaced = new Map<Outcome, Outcome>()
  #checks: ApartChecks = { checked: [], refused: [] }

  constructor(db: Queryable, outcomes: readonly Outcome[], context: OutcomeContext, terms: Terms) {
    this.#db = db
    this.#terms = terms
    const { isSilent, keptBatches } = terms
    const isNotified = context.check.isNotified && !isSilent
    this.#context = { ...context, check: { ...context.check, isNotified } }
    const formOf = (outcome: Outcome): Outcome => {
      const isKept = outcome.write === 'delete' && keptBatches.has(outcome.row.batch_id ?? '')
      const form = isKept ? keptOutcome(outcome) : { ...outcome }
      return isSilent ? silentOutcome(form) : form
    }
    this.#forms = new Map(outcomes.map((outcome) => [formOf(outcome), outcome]))
  }

  get result(): Sifted {
    const original = <T>(map: ReadonlyMap<Outcome, T>) =>
      new Map([...map].map(([form, value]) => [this.#original(form), value] as const))
    return {
      settlement: original(this.#written.settlement),
      refused: original(this.#refused),
      untried: this.#untried.map((form) => this.#original(form)),
    }
  }

  async run(): Promise<void> {
    const forms = [...this.#forms.keys()]
    const batchIds = new Set(forms.flatMap(batchesOf))
    if (batchIds.size > 0) await lockTouchedBatches(this.#db, batchIds)
    await limitLockWaits(this.#db, LOCK_TIMEOUT_MS)
    await openSavepoint(this.#db)
    await this.#write(forms.filter((form) => this.#exclusion(form) === undefined))
    // After the others: an outcome that was excluded beforehand shows nothing about what Postgres accepts.
    for (const form of forms) this.#refuse(form, this.#exclusion(form))
    await this.#judge()
    await this.#check(batchIds)
  }

  #refuse(form: Outcome, reason: Reason | undefined): void {
    if (reason !== undefined) this.#refused.set(form, reason.error)
  }

  /** Returns why the outcome has to wait for its batch; undefined if it need not. */
  #exclusion(form: Outcome): Reason | undefined {
    const { excluded } = this.#terms
    const batchId = batchesOf(form).find((id) => excluded.has(id))
    return batchId === undefined ? undefined : { error: excluded.get(batchId) }
  }

  /** Call it after the commit. */
  announce(): void {
    announceChecks(this.#checks.checked, this.#context.check)
    announceRefusedChecks(this.#checks.refused)
    const { processId } = this.#context
    for (const [form, error] of this.#blamed) {
      const { result, row } = this.#original(form)
      events.emit('outcome_refused', { processId, jobId: row.id, outcome: result.outcome, error })
    }
  }

  /** As after an ordinary write: the locks of batches that were joined meanwhile are taken after the commit. */
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
    const passing = new Map(
      refused.flatMap(({ batchId, isPassing, error }) => (isPassing ? [[batchId, { error }]] : [])),
    )
    // Those outcomes count as unwritten and are passed here once more; other outcomes of this transaction need not wait.
    for (const [form, batchId] of joined) {
      if (passing.has(batchId)) this.#written.settlement.delete(form)
      this.#refuse(form, passing.get(batchId))
    }
    announceRefusedChecks(refused.filter(({ isPassing }) => !isPassing))
  }

  /** An error that keeps a place from being freed must not keep an outcome here. */
  async freePlaces(): Promise<void> {
    try {
      await freePlacesOf(this.#db, this.#written.freeing, this.#context)
    } catch (error) {
      if (!isRefusal(error)) throw error
      events.emit('worker_error', { processId: this.#context.processId, part: 'concurrency claims', error })
    }
  }

  /** Divides refused outcomes until each refusal concerns one outcome. */
  async #write(forms: readonly Outcome[]): Promise<void> {
    if (this.#isOver) {
      this.#untried.push(...forms)
      return
    }
    const tried = await this.#try(forms)
    if (!tried.isRefused) {
      this.#refusedInRow = 0
      return this.#add(tried.value)
    }
    const isFirst = this.#endsWithout === undefined
    if (isFirst) this.#endsWithout = await this.#rehearse(forms.map((form) => refusedOutcome(form, tried.error)))
    const [only] = forms
    if (only === undefined) return
    if (forms.length === 1 && !isFirst) {
      this.#refused.set(only, tried.error)
      this.#refusedInRow += 1
      return
    }
    for (const part of this.#parts(forms)) await this.#write(part)
  }

  /** Halves find one refused outcome among many; single writes are cheaper if all are refused. */
  #parts(forms: readonly Outcome[]): (readonly Outcome[])[] {
    if (forms.length === 1 || this.#refusedInRow >= MAX_REFUSED) return forms.map((form) => [form])
    const middle = forms.length >> 1
    return [forms.slice(0, middle), forms.slice(middle)]
  }

  get #isOver(): boolean {
    // A transaction that has learned nothing would learn nothing the next time either.
    const hasLearned = this.#written.settlement.size > 0 || this.#refused.size > 0
    if (hasLearned && this.#isLate) return true
    if (this.#written.settlement.size > 0 || this.#refused.size < MAX_REFUSED) return false
    return !this.#endsWithout || ![...this.#refused.values()].some(mayConcernRow)
  }

  #try(forms: readonly Outcome[]): Promise<Tried<Written>> {
    return inSavepoint(this.#db, () => writeRows(this.#db, forms, this.#context))
  }

  #rehearse(forms: readonly Outcome[]): Promise<boolean> {
    return rehearse(this.#db, () => writeRows(this.#db, forms, this.#context))
  }

  #add({ settlement, joined, repeated, freeing }: Written): void {
    for (const [form, as] of settlement) this.#written.settlement.set(form, as)
    for (const [form, batchId] of joined) this.#written.joined.set(form, batchId)
    for (const form of repeated) this.#written.repeated.add(form)
    this.#written.freeing.push(...freeing)
  }

  /**
   * Ends jobs with the refusal of their outcomes, if three steps prove it: without its payload an outcome is accepted, with the payload
   * it is refused, without the payload it is accepted again. A temporary cause would have to come and go between these steps.
   */
  async #judge(): Promise<void> {
    const accused = [...this.#refused].filter(
      ([form, error]) => this.#exclusion(form) === undefined && this.#canConcern(form, error),
    )
    const guilty: Accused[] = []
    for (const [form, error] of accused) {
      // The remaining outcomes stay refused, and a later transaction judges them: this one has something to commit.
      if (this.#isLate && this.#written.settlement.size + guilty.length > 0) break
      if (form.write === 'delete' && (await this.#replace(new Map([[keptOutcome(form), form]])))) continue
      if (await this.#isProven(form, error)) guilty.push([form, error])
    }
    if (guilty.length === 0 || (await this.#end(guilty))) return
    // Postgres may refuse them only together.
    for (const one of guilty) {
      await this.#end([one])
      if (this.#isLate) return
    }
  }

  /** Ends these jobs with the refusal of their outcomes, all of them or none. */
  async #end(guilty: readonly Accused[]): Promise<boolean> {
    const isEnded = await this.#replace(new Map(guilty.map(([form, error]) => [refusedOutcome(form, error), form])))
    if (isEnded) for (const [form, error] of guilty) this.#blamed.set(form, error)
    return isEnded
  }

  get #isLate(): boolean {
    return performance.now() > this.#deadline
  }

  /** If not all outcomes are accepted without their payload, each is tested separately. */
  async #isProven(form: Outcome, error: unknown): Promise<boolean> {
    if (this.#endsWithout) return true
    if (!(await this.#rehearse([refusedOutcome(form, error)]))) return false
    const again = await this.#try([form])
    if (again.isRefused) return sqlState(again.error) === sqlState(error)
    this.#refused.delete(form)
    this.#add(again.value)
    return false
  }

  /** A missing privilege refuses all outcomes of one kind of write, a policy only some of them. */
  #canConcern({ write }: Outcome, error: unknown): boolean {
    if (sqlState(error) !== INSUFFICIENT_PRIVILEGE) return mayConcernRow(error)
    return [...this.#written.settlement.keys()].some((other) => other.write === write)
  }

  /** Writes other forms in place of refused ones. */
  async #replace(forms: ReadonlyMap<Outcome, Outcome>): Promise<boolean> {
    const tried = await this.#try([...forms.keys()])
    if (tried.isRefused) return false
    for (const [by, form] of forms) {
      this.#refused.delete(form)
      this.#replaced.set(by, form)
    }
    this.#add(tried.value)
    return true
  }

  #original(form: Outcome): Outcome {
    const first = this.#replaced.get(form) ?? form
    return this.#forms.get(first) ?? first
  }

  /** Checks the batches of the written outcomes. */
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
   * A batch whose check failed for a temporary reason is waited for. A broken member must keep its row if the check of its batch
   * was refused: without the row the batch would end in success.
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
    const isLost = (form: Outcome) =>
      form.write === 'delete' && brokenAt(form) !== undefined && unchecked.has(form.row.batch_id ?? '')
    if (![...this.#written.settlement.keys()].some(isLost)) return
    throw new OnOtherTerms({ ...this.#terms, keptBatches: new Set([...this.#terms.keptBatches, ...unchecked]) })
  }
}
