import type { Outcome } from './outcome.ts'
import type { Settlement } from './transaction.ts'

/** What a sifting considers because an earlier one has shown it. */
export interface Terms {
  /** No notifications are sent. */
  readonly isSilent: boolean
  /** Batches whose broken members are not deleted. */
  readonly keptBatches: ReadonlySet<string>
  /** Batches that cannot be checked now, for a temporary reason. */
  readonly excluded: ReadonlyMap<string, unknown>
}

/** The transaction is rolled back, and tried again on these terms. */
export class OnOtherTerms extends Error {
  readonly terms: Terms

  constructor(terms: Terms) {
    super('the outcomes have to be written on other terms')
    this.terms = terms
  }
}

/** The result for outcomes that Postgres refused together. */
export interface Sifted {
  /** The committed outcomes. */
  readonly settlement: Settlement
  /** The refused outcomes, and why: nothing proves that the job is to blame. */
  readonly refused: ReadonlyMap<Outcome, unknown>
  /** Outcomes for which the time was not enough. */
  readonly untried: readonly Outcome[]
}

export interface Reason {
  readonly error: unknown
}

/** A refused outcome and the error of its refusal. */
export type Accused = readonly [form: Outcome, error: unknown]
