import { SerializationError } from '../errors.ts'
import { deserializeArguments, serializeArguments } from '../serialize/arguments/arguments.ts'
import { type JsonValue, parseJson, stringifyJson } from '../serialize/json.ts'

/** What a batch carries for its callbacks. */
export type Properties = Record<string, unknown>

/**
 * The stored form: Active Job's argument form of one hash. Keys become symbols, because GoodJob's own examples read
 * `batch.properties[:user]`; a hash that came from Ruby keeps the kind of its keys.
 */
export const serializeProperties = (properties: Properties): string => {
  const [hash] = serializeArguments([properties], { hashKeys: 'symbol', root: 'batch properties ' })
  if (!isObject(hash)) throw new SerializationError('the properties of a batch must be an object')
  return stringifyJson(hash)
}

/** @throws DeserializationError when the column holds no hash, or one that cannot be read. */
export const deserializeProperties = (text: string | null): Properties => {
  const stored = text === null ? {} : parseJson(text)
  const [properties] = deserializeArguments([stored])
  return properties as Properties
}

const isObject = (value: JsonValue | undefined): value is { [key: string]: JsonValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
