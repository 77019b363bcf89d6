import { DeserializationError } from '../../errors.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { parseDate, parseDateTime, parseTime } from '../values/iso8601.ts'
import { areComparable } from '../values/range-ends.ts'
import {
  type DurationPart,
  RubyBigDecimal,
  RubyConstant,
  RubyDateTime,
  RubyDuration,
  RubyFloat,
  type RubyNumber,
  RubyRange,
  RubySymbol,
  RubyTime,
  RubyTimeWithZone,
} from '../values/ruby-values.ts'
import { temporalDate, temporalZonedTime } from '../values/temporal.ts'
import { ianaTimeZone, isTimeZone } from '../values/time-zones.ts'
import type { Decode, Decoding } from './decoding.ts'
import { SERIALIZERS } from './wire-names.ts'

/** Decodes a value of one of Active Job's own serializers; undefined if `name` is not one. Throws DeserializationError. */
export const decodeRubyValue = (name: string, fields: JsonObject, decoding: Decoding, decode: Decode): unknown => {
  switch (name) {
    case SERIALIZERS.symbol:
      return RubySymbol.for(text(fields.value, 'symbol'))
    case SERIALIZERS.duration:
      return decodeDuration(fields, decoding, decode)
    case SERIALIZERS.date:
      return decodeDate(fields, decoding)
    case SERIALIZERS.dateTime:
      return decodeDateTime(fields)
    case SERIALIZERS.time:
      return decodeTime(fields)
    case SERIALIZERS.timeWithZone:
      return decodeTimeWithZone(fields, decoding)
    case SERIALIZERS.module:
      return decodeConstant(fields)
    case SERIALIZERS.range:
      return decodeRange(fields, decoding, decode)
    case SERIALIZERS.bigDecimal:
      return decodeBigDecimal(fields)
    default:
      return undefined
  }
}

const invalid = (kind: string, value: JsonValue | undefined): DeserializationError =>
  new DeserializationError(`invalid ${kind}: ${typeof value === 'string' ? JSON.stringify(value) : String(value)}`)

const text = (value: JsonValue | undefined, kind: string): string => {
  if (typeof value === 'string') return value
  throw invalid(kind, value)
}

const decodeDate = ({ value }: JsonObject, { isTemporal }: Decoding): object => {
  const date = parseDate(text(value, 'date'))
  if (!date) throw invalid('date', value)
  return isTemporal ? temporalDate(date) : date
}

const decodeDateTime = ({ value }: JsonObject): RubyDateTime => {
  const parts = parseDateTime(text(value, 'date'))
  if (!parts) throw invalid('date', value)
  return new RubyDateTime(parts.epochMs, parts)
}

const decodeTime = ({ value }: JsonObject): RubyTime => {
  const parts = parseTime(text(value, 'time'))
  if (!parts) throw invalid('time', value)
  return new RubyTime(parts.epochMs, parts)
}

const decodeTimeWithZone = (fields: JsonObject, { railsVersion, isTemporal }: Decoding): object => {
  const { epochMs, ...parts } = parseTime(text(fields.value, 'time')) ?? { epochMs: Number.NaN }
  if (Number.isNaN(epochMs)) throw invalid('time', fields.value)
  const zone = fields.time_zone ?? undefined
  if (zone === undefined) return new RubyTimeWithZone(epochMs, parts)
  const timeZone = text(zone, 'timezone')
  const iana = ianaTimeZone(timeZone, railsVersion)
  if (!isTimeZone(iana)) throw invalid('timezone', timeZone)
  const time = new RubyTimeWithZone(epochMs, { ...parts, timeZone })
  return isTemporal ? temporalZonedTime(time, iana) : time
}

const CONSTANT = /^(?:::)?\p{Lu}[\p{L}\p{N}_]*(?:::\p{Lu}[\p{L}\p{N}_]*)*$/u

const decodeConstant = ({ value }: JsonObject): RubyConstant => {
  const name = text(value, 'constant')
  if (!CONSTANT.test(name)) throw invalid('constant', name)
  return new RubyConstant(name)
}

const decodeBigDecimal = ({ value }: JsonObject): RubyBigDecimal => {
  if (typeof value === 'bigint' || Number.isInteger(value)) return new RubyBigDecimal(String(value))
  return new RubyBigDecimal(text(value, 'BigDecimal'))
}

const decodeRange = (fields: JsonObject, decoding: Decoding, decode: Decode): RubyRange => {
  const begin = decode(fields.begin ?? null, decoding)
  const end = decode(fields.end ?? null, decoding)
  if (!areComparable(begin, end)) throw new DeserializationError('bad value for range')
  return new RubyRange(begin, end, (fields.exclude_end ?? false) !== false)
}

const decodeDuration = (fields: JsonObject, decoding: Decoding, decode: Decode): RubyDuration => {
  // Rails 8.1 accepts a duration without parts; earlier versions always write them.
  const parts = fields.parts ?? []
  if (typeof parts !== 'object') throw invalid('list of parts', parts)
  const pairs = Array.isArray(parts) ? parts : Object.entries(parts as JsonObject)
  const decoded = pairs.map((pair) => durationPart(decode(pair, decoding)))
  return new RubyDuration(number(decode(fields.value ?? null, decoding)), decoded)
}

const durationPart = (pair: unknown): DurationPart => {
  if (!Array.isArray(pair) || pair.length !== 2)
    throw new DeserializationError('a part of a duration is a unit and a number')
  const [unit, amount] = pair as [unknown, unknown]
  if (unit instanceof RubySymbol || typeof unit === 'string') return [String(unit), number(amount)]
  throw new DeserializationError(`invalid unit of a duration: ${String(unit)}`)
}

const number = (value: unknown): RubyNumber => {
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof RubyFloat) return value
  throw new DeserializationError(`invalid number in a duration: ${String(value)}`)
}
