import { DeserializationError, SerializationError } from '../../errors.ts'
import type { JsonValue } from '../json.ts'
import { DEFAULT_RAILS_VERSION, type RailsVersion } from '../rails-version.ts'
import { temporalApi } from '../values/temporal.ts'
import { decode } from './decode.ts'
import type { Decoding } from './decoding.ts'
import { encodeList } from './encode.ts'
import type { Encoding } from './encoding.ts'
import { INDIFFERENT, STRING_KEYS, SYMBOL_KEYS } from './hash-kind.ts'
import { placed } from './places.ts'

export { containsGlobalID, mapGlobalIDs } from '../values/located-records.ts'
export { registerSerializer, type Serializer } from '../values/serializers.ts'
export { indifferentAccess, isKeywords, kwargs, symbolKeys } from './hash-kind.ts'

export interface SerializeOptions {
  /** The oldest Rails that must be able to read the arguments: a Range needs 7.0, a BigDecimal 7.1. @default '7.2' */
  readonly railsVersion?: RailsVersion
  /** The Ruby type of the keys of plain objects; a hash that was deserialized keeps its own. @default 'string' */
  readonly hashKeys?: 'string' | 'symbol' | 'indifferent'
  /** Write `undefined` arguments and array elements as null instead of refusing them. @default false */
  readonly undefinedAsNull?: boolean
  /** @internal Prefix of a value's place in messages. */
  readonly root?: string
  /** For Rails before 7.1: refuse a BigDecimal, or write its text, which Ruby reads as a String. @default 'error' */
  readonly bigDecimals?: 'error' | 'text'
}

/**
 * Serializes job arguments as ActiveJob::Arguments.serialize does.
 * Throws SerializationError for a value that Ruby could not read, or would read as another value.
 */
export const serializeArguments = (args: readonly unknown[], options: SerializeOptions = {}): JsonValue[] => {
  const encoding = encodingFor(options)
  try {
    return encodeList(args, encoding)
  } catch (error) {
    if (error instanceof RangeError)
      throw new SerializationError('The arguments are nested too deeply', { cause: error })
    if (error instanceof SerializationError) throw placed(error, encoding.path, options.root ?? '')
    throw error
  }
}

const PLAIN_KINDS = { string: STRING_KEYS, symbol: SYMBOL_KEYS, indifferent: INDIFFERENT } as const

const encodingFor = (options: SerializeOptions): Encoding => ({
  railsVersion: options.railsVersion ?? DEFAULT_RAILS_VERSION,
  plainKind: PLAIN_KINDS[options.hashKeys ?? 'string'],
  isUndefinedNull: options.undefinedAsNull ?? false,
  isBigDecimalText: options.bigDecimals === 'text',
  path: [],
})

export interface DeserializeOptions {
  /** The Rails version that wrote the arguments; determines the meaning of zone names. @default '7.2' */
  readonly railsVersion?: RailsVersion
  /** Return Floats without a fraction as `number`; a retry then writes them as Integer. @default false */
  readonly looseFloats?: boolean
  /** `map`: hashes become a Map with RubySymbol and string keys. @default 'object' */
  readonly hashes?: 'object' | 'map'
  /** `opaque`: values of unregistered serializers become RubySerialized instead of an error. @default 'error' */
  readonly unknownSerializers?: 'error' | 'opaque'
  /** `null`: an invalid gid becomes null, as in Ruby, where the job runs with nil. @default 'error' */
  readonly invalidGlobalIDs?: 'error' | 'null'
  /** Return a Date as Temporal.PlainDate, and a TimeWithZone with a zone as Temporal.ZonedDateTime. @default false */
  readonly temporal?: boolean
}

/**
 * Deserializes job arguments as ActiveJob::Arguments.deserialize does, but does not locate GlobalIDs. Serializing the result again gives
 * the same JSON. Throws DeserializationError, and ConfigurationError if `temporal` is set and the runtime has no Temporal.
 */
export const deserializeArguments = (wire: readonly JsonValue[], options: DeserializeOptions = {}): unknown[] => {
  const decoding = decodingFor(options)
  try {
    return wire.map((value) => decode(value, decoding))
  } catch (error) {
    throw error instanceof DeserializationError ? error : new DeserializationError(error)
  }
}

const decodingFor = (options: DeserializeOptions): Decoding => ({
  railsVersion: options.railsVersion ?? DEFAULT_RAILS_VERSION,
  isFloatLoose: options.looseFloats ?? false,
  isMap: options.hashes === 'map',
  isUnknownOpaque: options.unknownSerializers === 'opaque',
  isBadGlobalIDNull: options.invalidGlobalIDs === 'null',
  isTemporal: options.temporal === true && temporalApi() !== undefined,
})
