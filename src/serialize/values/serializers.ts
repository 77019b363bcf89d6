import { ConfigurationError } from '../../errors.ts'
import type { JsonObject } from '../json.ts'

/** A serializer for a class of your own: the matching Ruby serializer class, and the conversions in both directions. */
export interface Serializer<T extends object = object> {
  /** Name of the Ruby serializer class, for example `MoneySerializer`; both sides find the serializer by it. */
  readonly name: string
  /** Instances of this class and its subclasses use this serializer. */
  readonly klass: abstract new (
    ...args: never[]
  ) => T
  /** The fields, as JSON values (bigint and RubyFloat allowed); use serializeArguments for anything richer. */
  readonly serialize: (value: T) => JsonObject
  /** Receives the fields without `_aj_serialized`. Whatever it throws becomes a DeserializationError. */
  readonly deserialize: (fields: JsonObject) => T
}

const PREFIX = 'ActiveJob::Serializers::'
const byName = new Map<string, Serializer>()

/**
 * Registers a custom serializer for this process and returns the function that removes it again.
 * Throws ConfigurationError when another class already has the name, or when Active Job itself uses it.
 */
export const registerSerializer = <T extends object>(serializer: Serializer<T>): (() => void) => {
  const { name, klass } = serializer
  if (name === '' || name.startsWith(PREFIX)) {
    throw new ConfigurationError(`A serializer cannot be named ${JSON.stringify(name)}: Active Job has its own`)
  }
  const other = byName.get(name)
  if (other && other.klass !== klass) {
    throw new ConfigurationError(`${name} already serializes ${other.klass.name}, so it cannot serialize ${klass.name}`)
  }
  const registered = serializer as unknown as Serializer
  byName.set(name, registered)
  return () => {
    if (byName.get(name) === registered) byName.delete(name)
  }
}

export const serializerNamed = (name: string): Serializer | undefined => byName.get(name)

/** The serializer of the value's class, otherwise the first registered one of a superclass. */
export const serializerFor = (value: object): Serializer | undefined => {
  let inherited: Serializer | undefined
  for (const serializer of byName.values()) {
    if (value.constructor === serializer.klass) return serializer
    if (!inherited && value instanceof serializer.klass) inherited = serializer
  }
  return inherited
}
