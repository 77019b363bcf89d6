import { hashKind, isSymbolKey } from '../../src/serialize/arguments/hash-kind.ts'
import {
  GlobalID,
  RubyBigDecimal,
  RubyConstant,
  RubyDate,
  RubyDateTime,
  RubyDuration,
  RubyFloat,
  RubyRange,
  RubySerialized,
  RubySymbol,
  RubyTime,
  RubyTimeWithZone,
} from '../../src/serialize/values/ruby-values.ts'

/** How Ruby's `inspect` would print a decoded value, in the comparable form of `comparable()`. */
export const rubyInspect = (value: unknown): string => {
  if (value === null) return 'nil'
  if (typeof value === 'string') return inspectText(value)
  if (typeof value === 'number' && !Number.isInteger(value)) return inspectFloat(value)
  if (typeof value !== 'object') return String(value)
  if (Array.isArray(value)) return `[${value.map(rubyInspect).join(', ')}]`
  return inspectObject(value) ?? inspectHash(value as Record<string, unknown>)
}

const inspectObject = (value: object): string | undefined => {
  if (value instanceof RubyFloat) return inspectFloat(value.value)
  if (value instanceof RubySymbol) return inspectSymbol(value.name)
  if (value instanceof RubyTimeWithZone) return inspectInstant(value)
  if (value instanceof RubyDateTime) return inspectDateTime(value)
  if (value instanceof RubyTime) return inspectTime(value)
  if (value instanceof RubyDate) return inspectDate(value)
  if (value instanceof RubyDuration) return inspectDuration(value)
  if (value instanceof RubyBigDecimal) return inspectDecimal(value.text)
  if (value instanceof RubyConstant) return value.name.replace(/^::/, '')
  if (value instanceof GlobalID) return `#<${value.modelName} ${rubyInspect(value.modelId)}>`
  if (value instanceof RubyRange) return inspectRange(value)
  return value instanceof RubySerialized ? `#<Money ${Object.values(value.fields).join(' ')}>` : undefined
}

/** Ruby's class of a decoded value, as the vectors name it. */
export const rubyClass = (value: unknown): string => {
  if (value === null) return 'NilClass'
  if (typeof value === 'string') return 'String'
  if (typeof value === 'bigint' || Number.isInteger(value)) return 'Integer'
  if (typeof value === 'number' || value instanceof RubyFloat) return 'Float'
  if (typeof value === 'boolean') return value ? 'TrueClass' : 'FalseClass'
  if (Array.isArray(value)) return 'Array'
  if (value instanceof GlobalID) return value.modelName
  if (value instanceof RubyTimeWithZone) return 'ActiveSupport::TimeWithZone'
  if (value instanceof RubyDuration) return 'ActiveSupport::Duration'
  if (value instanceof RubyConstant) return /^(?:::)?Kernel$/.test(value.name) ? 'Module' : 'Class'
  if (value instanceof RubySerialized) return value.name.replace('Serializer', '')
  const kind = hashKind(value as object)
  if (kind) return kind.marker === 'indifferent' ? 'ActiveSupport::HashWithIndifferentAccess' : 'Hash'
  return (value as object).constructor.name.replace('Ruby', '')
}

/** The text of a vector without what JavaScript cannot know: weekdays, zone abbreviations, how an instant is spelled. */
export const comparable = (expected: string): string => {
  const zoned = /^(?:\w{3}, )?(\d\d \w{3} \d{4}|\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\.(\d{9}) \w+ ([-+]\d\d:\d\d)$/.exec(
    expected,
  )
  if (zoned) {
    const [, day, time, nanoseconds, offset] = zoned
    const epochMs = Date.parse(`${day} ${time} GMT${offset}`)
    return `instant ${epochMs / 1000}.${nanoseconds}`
  }
  if (/^-?0\.\d+e-?\d+(?:\.\.-?0\.\d+e-?\d+)?$/.test(expected))
    return expected.split('..').map(inspectDecimal).join('..')
  return expected.replaceAll(/\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?=\d\d \w{3} )/g, '')
}

const ESCAPES: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r', '"': '\\"', '\\': '\\\\' }

const inspectText = (text: string): string => {
  const escaped = Array.from(text, (char) => {
    const code = char.codePointAt(0) ?? 0
    const isHidden = code < 0x20 || code === 0x7f || code === 0x2028 || code === 0x2029
    return ESCAPES[char] ?? (isHidden ? `\\u${code.toString(16).toUpperCase().padStart(4, '0')}` : char)
  })
  return `"${escaped.join('')}"`
}

const inspectSymbol = (name: string): string =>
  /^(?:[\p{L}_][\p{L}\p{N}_]*[?!]?|\[\])$/u.test(name) ? `:${name}` : `:${inspectText(name)}`

// What the vectors show is what their json gem printed: positional from 0.0001 up to, not including, 1e15.
const inspectFloat = (value: number): string => {
  const size = Math.abs(value)
  if (value === 0 || (size >= 1e-4 && size < 1e15))
    return Number.isInteger(value) ? String(new RubyFloat(value)) : String(value)
  const [mantissa = '', exponent = ''] = value.toExponential().split('e')
  const [, sign = '', digits = ''] = /^([-+])(\d+)$/.exec(exponent) ?? []
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}e${sign}${digits.padStart(2, '0')}`
}

const inspectInstant = (time: RubyTimeWithZone): string =>
  `instant ${Math.floor(time.getTime() / 1000)}.${String(time.nanoseconds).padStart(9, '0')}`

const localFields = (time: RubyTime): string => {
  const [, sign = '+', hours = '0', minutes = '0'] = /^([-+])(\d\d):(\d\d)$/.exec(time.offset) ?? []
  const shift = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -60_000 : 60_000)
  return new Date(time.getTime() + shift).toISOString().replace(/^\+0*/, '')
}

const compactOffset = ({ offset }: RubyTime): string => (offset === 'Z' ? 'UTC' : offset.replace(':', ''))

const inspectTime = (time: RubyTime): string => {
  const [day = '', clock = ''] = localFields(time).split('T')
  const fraction = String(time.nanoseconds).padStart(9, '0').replace(/0+$/, '')
  return `${day} ${clock.slice(0, 8)}${fraction === '' ? '' : `.${fraction}`} ${compactOffset(time)}`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const inspectDay = (year: string, month: number, day: string): string => `${day} ${MONTHS[month - 1]} ${year}`

const inspectDate = (date: RubyDate): string => {
  const [, year = '', , day = ''] = /^(-?\d+)-(\d\d)-(\d\d)$/.exec(String(date)) ?? []
  return inspectDay(year, date.month, day)
}

const inspectDateTime = (time: RubyDateTime): string => {
  const [, year = '', month = '', day = '', clock = ''] = /^(\d+)-(\d\d)-(\d\d)T(.{8})/.exec(localFields(time)) ?? []
  return `${inspectDay(year, Number(month), day)} ${clock} ${compactOffset(time)}`
}

const inspectDuration = ({ value, parts }: RubyDuration): string => {
  if (parts.length === 0) return `${Number(value)} seconds`
  const texts = parts.map(
    ([unit, amount]) => `${Number(amount)} ${Number(amount) === 1 ? unit.replace(/s$/, '') : unit}`,
  )
  if (texts.length < 3) return texts.join(' and ')
  return `${texts.slice(0, -1).join(', ')}, and ${texts.at(-1)}`
}

const inspectRange = ({ begin, end, excludeEnd }: RubyRange): string => {
  const dots = excludeEnd ? '...' : '..'
  if (begin === null && end === null) return `nil${dots}nil`
  return `${begin === null ? '' : rubyInspect(begin)}${dots}${end === null ? '' : rubyInspect(end)}`
}

/** `0.15e1`: sign, digits without outer zeros, exponent; the same for every spelling of one number. */
const inspectDecimal = (text: string): string => {
  const parsed = /^\s*([-+]?)(\d*)\.?(\d*)(?:e([-+]?\d+))?\s*$/i.exec(text.replaceAll('_', ''))
  if (!parsed) return text.trim()
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parsed
  const digits = `${whole}${fraction}`.replace(/^0+/, '').replace(/0+$/, '')
  const minus = sign === '-' ? '-' : ''
  if (digits === '') return `${minus}0.0`
  const leadingZeros = `${whole}${fraction}`.length - `${whole}${fraction}`.replace(/^0+/, '').length
  return `${minus}0.${digits}e${whole.length - leadingZeros + Number(exponent)}`
}

const inspectHash = (hash: Record<string, unknown>): string => {
  const kind = hashKind(hash)
  const entries = Object.entries(hash).map(([key, value]) => {
    const name = kind && isSymbolKey(kind, key) ? inspectSymbol(key) : inspectText(key)
    return `${name}=>${rubyInspect(value)}`
  })
  return `{${entries.join(', ')}}`
}
