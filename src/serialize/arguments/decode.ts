import { DeserializationError } from '../../errors.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { GlobalID, RubyFloat, RubySerialized } from '../values/ruby-values.ts'
import { serializerNamed } from '../values/serializers.ts'
import { decodeHash } from './decode-hashes.ts'
import { decodeRubyValue } from './decode-ruby-values.ts'
import type { Decoding } from './decoding.ts'
import { GLOBALID_KEY, SERIALIZED_KEY } from './wire-names.ts'

/** Decodes one serialized value. Throws errors of several classes, which the caller converts. */
export const decode = (value: JsonValue, decoding: Decoding): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((element) => decode(element, decoding))
  if (value instanceof RubyFloat) return decoding.isFloatLoose ? value.value : value
  return decodeObject(value, decoding)
}

// Active Job arguments.rb#deserialize_argument: an object with only a gid, then a serializer's object, otherwise a hash.
const decodeObject = (object: JsonObject, decoding: Decoding): unknown => {
  const keys = Object.keys(object)
  if (keys.length === 1 && keys[0] === GLOBALID_KEY) return decodeGlobalID(object[GLOBALID_KEY], decoding)
  if (Object.hasOwn(object, SERIALIZED_KEY)) return decodeSerialized(object, decoding)
  return decodeHash(object, decoding, decode)
}

const decodeGlobalID = (text: JsonValue | undefined, { isBadGlobalIDNull }: Decoding): GlobalID | null => {
  const gid = GlobalID.parse(text)
  // Here Ruby runs the job with nil.
  if (gid || isBadGlobalIDNull) return gid
  throw new DeserializationError(`${JSON.stringify(String(text))} is not a GlobalID`)
}

const decodeSerialized = (object: JsonObject, decoding: Decoding): unknown => {
  const { [SERIALIZED_KEY]: name, ...fields } = object
  if (typeof name === 'string') {
    const known = decodeRubyValue(name, fields, decoding, decode)
    if (known !== undefined) return known
    const serializer = serializerNamed(name)
    if (serializer) return serializer.deserialize(fields)
    if (decoding.isUnknownOpaque && name !== '') return new RubySerialized(name, fields)
  }
  throw new DeserializationError(`Serializer ${String(name)} is not known`)
}
