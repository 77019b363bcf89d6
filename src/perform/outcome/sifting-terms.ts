import type { CompletedAttempt } from './outcome.ts'
import type { Settlement } from './transaction.ts'

/** What a sifting takes into account that an earlier one has shown. */
export interface Terms {
  /** No messages are sent. */
  readonly isSilent: boolean
  /** Batches whose broken members are not deleted. */
  readonly keptBatches: ReadonlySet<string>
  /** Batches that cannot be checked for a reason that passes. */
  readonly excluded: ReadonlyMap<string, unknown>
}

/** The transaction is undone, and made anew on these terms. */
export class OnOtherTerms extends Error {
  readonly terms: Terms

  constructor(terms: Terms) {
    super('the outcomes have to be written on other terms')
    this.terms = terms
  }
}

/** What became of outcomes that Postgres refused together. */
export interface Sifted {
  /** What was committed. */
  readonly settlement: Settlement
  /** What was not, and why: nothing proves that the job is to blame. */
  readonly refused: ReadonlyMap<CompletedAttempt, unknown>
  /** For which there was no time. */
  readonly untried: readonly CompletedAttempt[]
}

export interface Reason {
  readonly error: unknown
}

/** A refused outcome, and its refusal. */
export type Accused = readonly [form: CompletedAttempt, error: unknown]
