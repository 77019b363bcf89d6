import { SerializationError } from '../../errors.ts'
import { PreciseTime } from '../../time.ts'

export { GlobalID } from './global-id.ts'

/** A Ruby number: `number` and `bigint` without a fraction are Integer, everything else is Float. */
export type RubyNumber = number | bigint | RubyFloat

/** A Ruby Float without a fraction (`1.0`, `-0.0`, `1e25`). A JavaScript number cannot distinguish it from an Integer. */
export class RubyFloat {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }

  valueOf(): number {
    return this.value
  }

  toJSON(): number {
    return this.value
  }

  /** Its JSON token in positional notation with a fraction, for example `1.0`, unless it is NaN or Infinity. */
  toString(): string {
    if (!Number.isInteger(this.value)) return String(this.value)
    return Object.is(this.value, -0) ? '-0.0' : `${BigInt(this.value)}.0`
  }
}

/** A Ruby Symbol. Symbols with equal names are the same object, so `===` works. */
export class RubySymbol {
  readonly name: string

  private constructor(name: string) {
    this.name = name
  }

  /** The only symbol with this name. */
  static for(name: string): RubySymbol {
    const known = symbols.get(name)?.deref()
    if (known) return known
    const symbol = new RubySymbol(name)
    symbols.set(name, new WeakRef(symbol))
    forgottenSymbols.register(symbol, name)
    return symbol
  }

  toString(): string {
    return this.name
  }

  toJSON(): string {
    return this.name
  }
}

// Names come from stored jobs, so the table must not keep them for ever.
const symbols = new Map<string, WeakRef<RubySymbol>>()
const forgottenSymbols = new FinalizationRegistry<string>((name) => {
  if (symbols.get(name)?.deref() === undefined) symbols.delete(name)
})

/** Short for `RubySymbol.for(name)`. */
export const sym = (name: string): RubySymbol => RubySymbol.for(name)

/** Seconds in one unit, as ActiveSupport::Duration counts them. */
const UNIT_SECONDS = {
  years: 31_556_952,
  months: 2_629_746,
  weeks: 604_800,
  days: 86_400,
  hours: 3_600,
  minutes: 60,
  seconds: 1,
} as const

export type DurationUnit = keyof typeof UNIT_SECONDS
export type DurationPart = readonly [unit: string, amount: RubyNumber]

/** An ActiveSupport::Duration: seconds, and the parts from which it was created, in their order. */
export class RubyDuration {
  /** Seconds. */
  readonly value: RubyNumber
  readonly parts: readonly DurationPart[]

  constructor(value: RubyNumber, parts: readonly DurationPart[]) {
    this.value = value
    this.parts = parts
  }

  /** Creates a duration from its parts: `RubyDuration.of({ days: 1, hours: 12 })`. The seconds are a Float if one part is. */
  static of(amounts: Readonly<Partial<Record<DurationUnit, number>>>): RubyDuration {
    const parts = Object.entries(amounts) as [DurationUnit, number][]
    const seconds = parts.reduce((sum, [unit, amount]) => sum + amount * UNIT_SECONDS[unit], 0)
    const isFloat = parts.some(([, amount]) => !Number.isInteger(amount))
    return new RubyDuration(isFloat && Number.isInteger(seconds) ? new RubyFloat(seconds) : seconds, parts)
  }

  /** The seconds as a JavaScript number. */
  valueOf(): number {
    return Number(this.value)
  }
}

/** A Ruby Date: a day in the proleptic calendar, without a time and a zone. */
export class RubyDate {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number

  constructor(year: number, month: number, day: number) {
    this.year = year
    this.month = month
    this.day = day
  }

  /** ISO 8601, for example `2024-02-29`. */
  toString(): string {
    return `${paddedYear(this.year)}-${twoDigits(this.month)}-${twoDigits(this.day)}`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** A year with at least four digits, as Ruby writes it; negative years keep their sign. */
export const paddedYear = (year: number): string =>
  year < 0 ? `-${String(-year).padStart(4, '0')}` : String(year).padStart(4, '0')

export const twoDigits = (number: number): string => String(number).padStart(2, '0')

/** A Ruby Time: a Date with nanoseconds and the offset with which it was written. */
export class RubyTime extends PreciseTime {
  /** `Z` for UTC, else `+hh:mm` or `-hh:mm`; `+00:00` is not `Z`. */
  readonly offset: string

  /** `epochMs`: milliseconds since 1970. `nanoseconds`: the nanoseconds beyond them, 0 to 999,999. @default offset 'Z' */
  constructor(epochMs: number, { nanoseconds = 0, offset = 'Z' }: { nanoseconds?: number; offset?: string } = {}) {
    super(epochMs, nanoseconds)
    this.offset = offset
  }
}

/** A Ruby DateTime: like a RubyTime, but of another class in Ruby; UTC is `+00:00`. */
export class RubyDateTime extends RubyTime {
  constructor(epochMs: number, { nanoseconds = 0, offset = '+00:00' } = {}) {
    super(epochMs, { nanoseconds, offset: offset === 'Z' ? '+00:00' : offset })
  }
}

/** An ActiveSupport::TimeWithZone. */
export class RubyTimeWithZone extends RubyTime {
  /** tzinfo identifier such as `America/New_York` or `Etc/UTC`; undefined when Rails 6.1 wrote the value. */
  readonly timeZone: string | undefined

  constructor(epochMs: number, options: { nanoseconds?: number; offset?: string; timeZone?: string | undefined } = {}) {
    super(epochMs, options)
    this.timeZone = options.timeZone
  }
}

/** The name of a Ruby class or module; nothing is ever loaded by this name. */
export class RubyConstant {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  toString(): string {
    return this.name
  }
}

/** A Ruby Range; a null end is open. */
export class RubyRange<Begin = unknown, End = Begin> {
  readonly begin: Begin | null
  readonly end: End | null
  readonly excludeEnd: boolean

  constructor(begin: Begin | null, end: End | null, excludeEnd = false) {
    this.begin = begin
    this.end = end
    this.excludeEnd = excludeEnd
  }
}

/** A Ruby BigDecimal as exact text, for use with a decimal library of your choice. Throws SerializationError. */
export class RubyBigDecimal {
  readonly text: string

  constructor(text: string) {
    if (!BIG_DECIMAL.test(text)) throw new SerializationError(`${JSON.stringify(text)} is not a BigDecimal`)
    this.text = text
  }

  toString(): string {
    return this.text
  }

  toJSON(): string {
    return this.text
  }
}

// The syntax of Kernel#BigDecimal (bigdecimal 3.1): underscores between digits and one at the end, exponents with e or d.
const BIG_DECIMAL =
  /^\s*(?:NaN|[-+]?Infinity|[-+]?(?:\d+(?:_\d+)*_?(?:\.\d+(?:_\d+)*_?)?|\.\d+(?:_\d+)*_?)(?:[eEdD][-+]?\d+(?:_\d+)*_?)?)\s*$/

/** A value of a custom Ruby serializer that is not registered here; it is written back unchanged. */
export class RubySerialized {
  /** Name of the Ruby serializer class. */
  readonly name: string
  /** Everything the serializer wrote, without `_aj_serialized`. */
  readonly fields: Readonly<Record<string, unknown>>

  constructor(name: string, fields: Readonly<Record<string, unknown>>) {
    this.name = name
    this.fields = fields
  }
}
