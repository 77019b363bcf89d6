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
  /** The Rails that may read the arguments: a Range needs 7.0, a BigDecimal 7.1. @default '7.2' */
  readonly railsVersion?: RailsVersion
  /** What the keys of plain objects are in Ruby; hashes read from the wire stay what they were. @default 'string' */
  readonly hashKeys?: 'string' | 'symbol' | 'indifferent'
  /** Write `undefined` arguments and array elements as null instead of refusing them. @default false */
  readonly undefinedAsNull?: boolean
  /** @internal What a message puts before the place of a value. */
  readonly root?: string
  /** For a Rails before 7.1: refuse a BigDecimal, or write its text, which Ruby reads as a String. @default 'error' */
  readonly bigDecimals?: 'error' | 'text'
}

/**
 * The wire form of job arguments, as ActiveJob::Arguments.serialize writes them.
 * Throws SerializationError for anything that Ruby would read back as another value, or not at all.
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
  /** The Rails that wrote the arguments, for the meaning of its zone names. @default '7.2' */
  readonly railsVersion?: RailsVersion
  /** Give Floats without a fraction as `number`; a retry then writes them as Integer. @default false */
  readonly looseFloats?: boolean
  /** `map`: hashes become a Map with RubySymbol and string keys. @default 'object' */
  readonly hashes?: 'object' | 'map'
  /** `opaque`: values of unregistered serializers become RubySerialized instead of an error. @default 'error' */
  readonly unknownSerializers?: 'error' | 'opaque'
  /** `null`: a gid that is none becomes null, as in Ruby, where the job runs with nil. @default 'error' */
  readonly invalidGlobalIDs?: 'error' | 'null'
  /** Give a Date as Temporal.PlainDate and a TimeWithZone that names its zone as Temporal.ZonedDateTime. @default false */
  readonly temporal?: boolean
}

/**
 * The values of serialized arguments, as ActiveJob::Arguments.deserialize reads them, GlobalIDs not yet located.
 * Serializing the result again gives the same wire form. Throws DeserializationError; ConfigurationError without Temporal.
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
