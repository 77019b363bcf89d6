import type { JsonValue } from '../json.ts'
import { globalIdOf } from '../values/located-records.ts'
import { GlobalID, RubySymbol } from '../values/ruby-values.ts'
import { serializerFor } from '../values/serializers.ts'
import { rubyValueOfTemporal } from '../values/temporal.ts'
import { encodeHash, encodeMap } from './encode-hashes.ts'
import { encodeRubyValue } from './encode-ruby-values.ts'
import { checkedNumber, checkedText, className, type Encoding, enter, serializedForm, unsupported } from './encoding.ts'
import { hashKind, isPlainObject } from './hash-kind.ts'
import { refusalOf } from './places.ts'
import { GLOBALID_KEY } from './wire-names.ts'

/** Encodes an array or the argument list. Keywords may only be the last element, and are left out if empty. */
export const encodeList = (list: readonly unknown[], encoding: Encoding): JsonValue[] => {
  enter(list, encoding)
  const wire: JsonValue[] = []
  for (let index = 0; index < list.length; index++) {
    const element = list[index]
    if (!isKeywordsWrapper(element)) wire.push(encode(element, encoding))
    else if (index < list.length - 1) throw misplacedKeywords(element)
    else if (Object.values(element).some((value) => value !== undefined))
      wire.push(encodeHash(element, encoding, encode))
  }
  encoding.path.pop()
  return wire
}

const isKeywordsWrapper = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && hashKind(value)?.isWrapper === true

const misplacedKeywords = (value: object) => refusalOf(value, 'Keywords must be the last argument')

/** Encodes one value. Throws SerializationError. */
const encode = (value: unknown, encoding: Encoding): JsonValue => {
  switch (typeof value) {
    case 'string':
      return checkedText(value)
    case 'boolean':
    case 'bigint':
      return value
    case 'number':
      return checkedNumber(value)
    case 'object':
      return value === null ? null : encodeObject(value, encoding)
    case 'symbol':
      return encodeSymbol(value, encoding)
    case 'undefined':
      if (encoding.isUndefinedNull) return null
      throw refusalOf(
        value,
        'undefined has no Active Job form; pass null, or let it become null: static override argumentOptions = { undefinedAsNull: true } in the job class',
      )
    default:
      throw unsupported(value)
  }
}

const encodeSymbol = (value: symbol, encoding: Encoding): JsonValue => {
  const name = Symbol.keyFor(value)
  if (name !== undefined) return encode(RubySymbol.for(name), encoding)
  throw refusalOf(value, `${String(value)} has no Active Job form; use Symbol.for(name), which is a symbol in Ruby`)
}

// Active Job arguments.rb#serialize_argument: GlobalID before hashes, serializers last.
const encodeObject = (value: object, encoding: Encoding): JsonValue => {
  if (Array.isArray(value)) return encodeList(value, encoding)
  const gid = gidOf(value)
  if (gid !== undefined) return { [GLOBALID_KEY]: checkedText(gid) }
  if (hashKind(value)?.isWrapper) throw misplacedKeywords(value)
  if (value instanceof Map) return encodeMap(value, encoding, encode)
  if (isPlainObject(value)) {
    if (typeof (value as { toJSON?: unknown }).toJSON === 'function') throw objectWithToJson(value)
    return encodeHash(value, encoding, encode)
  }
  return encodeRubyValue(value, encoding, encode) ?? encodeInstance(value, encoding)
}

const objectWithToJson = (value: object) =>
  refusalOf(
    value,
    'an object with its own toJSON() has no Active Job form: its toJSON() is not called; pass what it returns',
  )

const gidOf = (value: object): string | undefined => {
  if (value instanceof GlobalID) return String(value)
  const { toGlobalID } = value as { toGlobalID?: unknown }
  if (typeof toGlobalID !== 'function') return globalIdOf(value)?.toString()
  const gid = String((toGlobalID as () => unknown).call(value))
  if (GlobalID.parse(gid)) return gid
  throw refusalOf(value, `toGlobalID() of ${className(value)} returned ${JSON.stringify(gid)}, not a GlobalID`)
}

const BOXES: ReadonlySet<unknown> = new Set([Number, String, Boolean, BigInt])

const encodeInstance = (value: object, encoding: Encoding): JsonValue => {
  const serializer = serializerFor(value)
  if (serializer) return serializedForm(serializer.name, serializer.serialize(value))
  if (BOXES.has(value.constructor)) return encode(value.valueOf(), encoding)
  const temporal = rubyValueOfTemporal(value)
  if (temporal) return encode(temporal, encoding)
  throw unsupported(value)
}
