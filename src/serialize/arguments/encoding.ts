import { SerializationError } from '../../errors.ts'
import { assertFinite, assertUnambiguous, type JsonObject, type JsonValue } from '../json.ts'
import type { RailsVersion } from '../rails-version.ts'
import { RubyFloat } from '../values/ruby-values.ts'
import { type HashKind, isPlainObject } from './hash-kind.ts'
import { refusalOf } from './places.ts'
import { SERIALIZED_KEY } from './wire-names.ts'

/** The state of one serializeArguments call, passed down to nested values. */
export interface Encoding {
  readonly railsVersion: RailsVersion
  /** The kind of a plain object without a recorded kind. */
  readonly plainKind: HashKind
  readonly isUndefinedNull: boolean
  readonly isBigDecimalText: boolean
  /** The containers around the current value, outermost first. */
  readonly path: object[]
}

/** Encodes one value of any kind; passed to the functions that encode containers. */
export type Encode = (value: unknown, encoding: Encoding) => JsonValue

/** Adds `container` to the path; the caller removes it. Throws SerializationError if `container` contains itself. */
export const enter = (container: object, { path }: Encoding): void => {
  if (path.includes(container)) throw refusalOf(container, 'a cyclic structure has no Active Job form')
  path.push(container)
}

/** Throws SerializationError for text that jsonb cannot store. */
export const checkedText = (text: string): string => {
  if (text.includes('\0'))
    throw refusalOf(text, 'text with U+0000 cannot be stored in jsonb; take it out, or encode it as base64')
  if (UNPAIRED_SURROGATE.test(text)) {
    throw refusalOf(text, 'text with an unpaired surrogate cannot be stored in jsonb; toWellFormed() of it can')
  }
  return text
}

const UNPAIRED_SURROGATE = /\p{Surrogate}/u

/** An integral number is an Integer, except -0. Throws SerializationError for NaN, Infinity and anything beyond 2^53-1. */
export const checkedNumber = (value: number): number | RubyFloat => {
  if (Number.isSafeInteger(value)) return Object.is(value, -0) ? new RubyFloat(value) : value
  try {
    assertUnambiguous(value)
  } catch (error) {
    throw refusalOf(value, (error as Error).message)
  }
  return value
}

/** Throws SerializationError for NaN and Infinity. */
export const checkedFloat = (float: RubyFloat): RubyFloat => {
  assertFinite(float.value)
  return float
}

/** Adds the serializer's name to its fields. Throws SerializationError for a field that JSON would change. */
export const serializedForm = (name: string, fields: object): JsonObject => {
  if (!Object.hasOwn(fields, SERIALIZED_KEY)) return { [SERIALIZED_KEY]: name, ...(checkedJson(fields) as JsonObject) }
  throw new SerializationError(`The fields of ${name} cannot include ${SERIALIZED_KEY}`)
}

const checkedJson = (value: unknown): JsonValue => {
  if (typeof value === 'string') return checkedText(value)
  if (typeof value === 'number') return checkedNumber(value)
  if (typeof value === 'boolean' || typeof value === 'bigint' || value === null) return value
  if (value instanceof RubyFloat) return checkedFloat(value)
  if (Array.isArray(value)) return value.map(checkedJson)
  if (typeof value !== 'object' || !isPlainObject(value)) throw unsupported(value)
  const wire = Object.create(null) as JsonObject
  for (const [key, field] of Object.entries(value)) wire[checkedText(key)] = checkedJson(field)
  return wire
}

export const unsupported = (value: unknown): SerializationError =>
  refusalOf(value, `${nameOf(value)} has no Active Job form; ${wayOut(value)}`)

const nameOf = (value: unknown): string => {
  if (typeof value === 'function') return isClass(value) ? `the class ${value.name}` : 'a function'
  return `a value of type ${className(value)}`
}

const isClass = (value: object): boolean => /^class\b/.test(Function.prototype.toString.call(value))

const wayOut = (value: unknown): string => {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return 'encode it as base64 yourself'
  if (typeof value === 'function') return 'pass plain data, such as the name of what is to be done'
  if (typeof (value as { toJSON?: unknown } | null)?.toJSON === 'function')
    return 'its toJSON() is not called, as it could not be read back as what it was: pass what toJSON() returns, or register a serializer'
  return 'pass plain data, or register a serializer'
}

export const className = (value: unknown): string => {
  if (typeof value !== 'object' || value === null) return typeof value
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== '' ? name : 'anonymous class'
}
