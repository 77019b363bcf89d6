import { ConfigurationError, SerializationError } from '../../errors.ts'
import { RubyDate, RubyDuration, RubyTime, RubyTimeWithZone } from './ruby-values.ts'

/** The part of the Temporal API that this package uses. Node has it from version 26 on; before that a polyfill may provide it. */
interface TemporalApi {
  readonly Instant: { fromEpochNanoseconds(nanoseconds: bigint): { toZonedDateTimeISO(zone: string): object } }
  readonly PlainDate: { from(fields: { year: number; month: number; day: number }, options: object): object }
}

/**
 * The Ruby value of a Temporal object, recognised by its tag so that polyfills work; undefined for anything else.
 * Throws SerializationError for Temporal classes without a Ruby counterpart.
 */
export const rubyValueOfTemporal = (value: object): RubyTime | RubyDate | RubyDuration | undefined => {
  const tag = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
  if (typeof tag !== 'string' || !tag.startsWith('Temporal.')) return undefined
  switch (tag) {
    case 'Temporal.Instant':
      return new RubyTime(...pointInTime(value as PointInTime))
    case 'Temporal.ZonedDateTime':
      return zonedTime(value as Zoned)
    case 'Temporal.PlainDate':
      return plainDate(String(value))
    case 'Temporal.Duration':
      return duration(value as Amounts)
    default:
      throw new SerializationError(`Unsupported argument type: ${tag}; Ruby has no counterpart`)
  }
}

interface PointInTime {
  readonly epochNanoseconds: bigint
}

interface Zoned extends PointInTime {
  readonly timeZoneId: string
  readonly offset: string
}

const pointInTime = ({ epochNanoseconds }: PointInTime): [epochMs: number, { nanoseconds: number }] => {
  const nanoseconds = ((epochNanoseconds % 1_000_000n) + 1_000_000n) % 1_000_000n
  return [Number((epochNanoseconds - nanoseconds) / 1_000_000n), { nanoseconds: Number(nanoseconds) }]
}

const UTC_ZONES: ReadonlySet<string> = new Set(['UTC', 'Etc/UTC'])

const zonedTime = (time: Zoned): RubyTime => {
  const [epochMs, { nanoseconds }] = pointInTime(time)
  if (/^[-+]/.test(time.timeZoneId)) return new RubyTime(epochMs, { nanoseconds, offset: time.offset })
  if (UTC_ZONES.has(time.timeZoneId)) return new RubyTimeWithZone(epochMs, { nanoseconds, timeZone: 'Etc/UTC' })
  // Historical offsets have seconds, which the serialized form cannot express; in Ruby the zone restores them.
  const offset = /^[-+]\d\d:\d\d$/.test(time.offset) ? time.offset : 'Z'
  return new RubyTimeWithZone(epochMs, { nanoseconds, offset, timeZone: time.timeZoneId })
}

const plainDate = (text: string): RubyDate => {
  const [, year, month, day] = /^([-+]?\d+)-(\d\d)-(\d\d)/.exec(text) ?? []
  return new RubyDate(Number(year), Number(month), Number(day))
}

const UNITS = ['years', 'months', 'weeks', 'days', 'hours', 'minutes'] as const

type Amounts = Readonly<
  Record<(typeof UNITS)[number] | 'seconds' | 'milliseconds' | 'microseconds' | 'nanoseconds', number>
>

const duration = (amounts: Amounts): RubyDuration => {
  const { seconds, milliseconds, microseconds, nanoseconds } = amounts
  const whole = UNITS.filter((unit) => amounts[unit] !== 0).map((unit) => [unit, amounts[unit]] as const)
  const rest = seconds + milliseconds / 1e3 + microseconds / 1e6 + nanoseconds / 1e9
  return RubyDuration.of(Object.fromEntries(rest === 0 && whole.length > 0 ? whole : [...whole, ['seconds', rest]]))
}

/** Throws ConfigurationError if the runtime has no Temporal. */
export const temporalApi = (): TemporalApi => {
  const { Temporal } = globalThis as { Temporal?: TemporalApi }
  if (Temporal) return Temporal
  throw new ConfigurationError(
    'temporal: true needs a runtime with Temporal, or a polyfill that sets globalThis.Temporal',
  )
}

export const temporalDate = ({ year, month, day }: RubyDate): object =>
  temporalApi().PlainDate.from({ year, month, day }, { overflow: 'reject' })

export const temporalZonedTime = (time: RubyTimeWithZone, timeZone: string): object => {
  const belowMillisecond = BigInt(time.nanoseconds % 1_000_000)
  const instant = temporalApi().Instant.fromEpochNanoseconds(BigInt(time.getTime()) * 1_000_000n + belowMillisecond)
  return instant.toZonedDateTimeISO(timeZone)
}
