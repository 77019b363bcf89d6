import { SerializationError } from '../../errors.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { atLeast } from '../rails-version.ts'
import { formatTime } from '../values/iso8601.ts'
import {
  RubyBigDecimal,
  RubyConstant,
  RubyDate,
  RubyDateTime,
  RubyDuration,
  RubyFloat,
  RubyRange,
  RubySerialized,
  RubySymbol,
  RubyTimeWithZone,
} from '../values/ruby-values.ts'
import { checkedFloat, checkedText, type Encode, type Encoding, serializedForm } from './encoding.ts'
import { refusalOf } from './places.ts'
import { SERIALIZED_KEY, SERIALIZERS } from './wire-names.ts'

/** Encodes a Ruby value or a Date; undefined for anything else. Throws SerializationError. */
export const encodeRubyValue = (value: object, encoding: Encoding, encode: Encode): JsonValue | undefined => {
  if (value instanceof RubyFloat) return checkedFloat(value)
  if (value instanceof RubySymbol) return symbol(value.name)
  if (value instanceof Date) return encodeTime(value)
  if (value instanceof RubyDate) return named(SERIALIZERS.date, { value: String(value) })
  if (value instanceof RubyDuration) return encodeDuration(value, encoding, encode)
  if (value instanceof RubyBigDecimal) return encodeBigDecimal(value, encoding)
  if (value instanceof RubyRange) return encodeRange(value, encoding, encode)
  if (value instanceof RubyConstant) return named(SERIALIZERS.module, { value: checkedText(value.name) })
  if (value instanceof RubySerialized) return serializedForm(checkedText(value.name), value.fields)
  return undefined
}

const named = (name: string, fields: JsonObject): JsonObject => ({ [SERIALIZED_KEY]: name, ...fields })

const symbol = (name: string): JsonObject => named(SERIALIZERS.symbol, { value: checkedText(name) })

const encodeTime = (time: Date): JsonObject => {
  if (Number.isNaN(time.getTime()))
    throw refusalOf(time, 'an invalid Date has no Active Job form; pass null or a valid one')
  const value = formatTime(time)
  if (time instanceof RubyDateTime) return named(SERIALIZERS.dateTime, { value })
  if (!(time instanceof RubyTimeWithZone)) return named(SERIALIZERS.time, { value })
  const zone = time.timeZone
  return named(SERIALIZERS.timeWithZone, zone === undefined ? { value } : { value, time_zone: checkedText(zone) })
}

const encodeDuration = (duration: RubyDuration, encoding: Encoding, encode: Encode): JsonObject =>
  named(SERIALIZERS.duration, {
    value: encode(duration.value, encoding),
    parts: duration.parts.map(([unit, amount]) => [symbol(unit), encode(amount, encoding)]),
  })

const encodeRange = ({ begin, end, excludeEnd }: RubyRange, encoding: Encoding, encode: Encode): JsonObject => {
  if (!atLeast(encoding.railsVersion, '7.0')) {
    throw new SerializationError(`Unsupported argument type: Range (Rails ${encoding.railsVersion} cannot read it)`)
  }
  return named(SERIALIZERS.range, {
    begin: encode(begin, encoding),
    end: encode(end, encoding),
    exclude_end: excludeEnd,
  })
}

// Rails before 7.1 wrote a BigDecimal as text, and read that text as a String.
const encodeBigDecimal = ({ text }: RubyBigDecimal, { railsVersion, isBigDecimalText }: Encoding): JsonValue => {
  if (atLeast(railsVersion, '7.1')) return named(SERIALIZERS.bigDecimal, { value: text })
  if (isBigDecimalText) return text
  throw new SerializationError(
    `Rails ${railsVersion} cannot read a BigDecimal; pass its text, or set bigDecimals: 'text'`,
  )
}
