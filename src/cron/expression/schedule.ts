/** What the fields of an expression allow. A field without a restriction is undefined. */
export interface Schedule {
  readonly seconds: readonly number[] | undefined
  readonly minutes: readonly number[] | undefined
  readonly hours: readonly number[] | undefined
  /** 1 to 31, or -1 (the last) to -31. */
  readonly monthDays: readonly number[] | undefined
  /** 1 to 12. */
  readonly months: readonly number[] | undefined
  readonly weekdays: readonly WeekdayRule[] | undefined
  /** `&`: a day must satisfy both the day of the month and the weekday. Otherwise one of them is enough. */
  readonly needsBothDays: boolean
}

export interface WeekdayRule {
  /** 0 (Sunday) to 6. */
  readonly weekday: number
  /** `fri#2`, `fri#-1`: the how-manieth of the month, from its start or from its end. */
  readonly nth?: number
  /** `fri%2+1`: weeks whose number leaves the remainder `offset` when divided by `weeks`. */
  readonly modulo?: { readonly weeks: number; readonly offset: number }
}

/** Stops with a ConfigurationError that says why the expression is refused and what to write instead. */
export type Refuse = (reason: string) => never
