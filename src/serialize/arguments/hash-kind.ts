import { SerializationError } from '../../errors.ts'
import type { JsonValue } from '../json.ts'

/** The Ruby type of a hash: markers and symbol keys. JavaScript objects have no place for it, so a WeakMap stores it. */
export interface HashKind {
  /** Its marker in the stored JSON: `_aj_symbol_keys`, `_aj_ruby2_keywords`, `_aj_hash_with_indifferent_access`, or none. */
  readonly marker: 'hash' | 'keywords' | 'indifferent' | 'bare'
  /** Whether keys are symbols, except those in `exceptions`. A key that a job adds is therefore like the other keys. */
  readonly hasSymbolKeys: boolean
  readonly exceptions: ReadonlySet<string>
  /** Whether `kwargs()` created it in this process. It must then be the last argument, and is left out if empty. */
  readonly isWrapper?: boolean
  /** Reserved keys that were read as data, because another marker took precedence. */
  readonly carried?: ReadonlySet<string>
  /** Marker entries without effect (false, null), written back unchanged. */
  readonly inert?: Readonly<Record<string, JsonValue>>
  /** The marker's list, if it differs from the list of symbol keys in use. */
  readonly listed?: JsonValue
}

const NO_KEYS: ReadonlySet<string> = new Set()

// Shared objects: recording a kind costs only one WeakMap entry.
export const STRING_KEYS: HashKind = { marker: 'hash', hasSymbolKeys: false, exceptions: NO_KEYS }
export const SYMBOL_KEYS: HashKind = { marker: 'hash', hasSymbolKeys: true, exceptions: NO_KEYS }
export const KEYWORDS: HashKind = { marker: 'keywords', hasSymbolKeys: true, exceptions: NO_KEYS }
export const INDIFFERENT: HashKind = { marker: 'indifferent', hasSymbolKeys: false, exceptions: NO_KEYS }
export const BARE: HashKind = { marker: 'bare', hasSymbolKeys: false, exceptions: NO_KEYS }
const WRAPPER: HashKind = { ...KEYWORDS, isWrapper: true }

const kinds = new WeakMap<object, HashKind>()

export const hashKind = (hash: object): HashKind | undefined => kinds.get(hash)

/** Records the Ruby kind of `hash` and returns `hash`. */
export const rememberKind = <T extends object>(hash: T, kind: HashKind): T => {
  kinds.set(hash, kind)
  return hash
}

export const isSymbolKey = (kind: HashKind, key: string): boolean => kind.hasSymbolKeys !== kind.exceptions.has(key)

/**
 * Ruby's `include?` on the value of a marker: a list, a text (substring), or a hash (key). Undefined if the value has no such method in
 * Ruby. A long list is converted to a Set, so that a huge hash does not take quadratic time.
 */
export const namesListed = (listed: JsonValue): ((name: string) => boolean | undefined) => {
  if (typeof listed === 'string') return (name) => listed.includes(name)
  if (Array.isArray(listed)) return listOf(listed)
  return (name) => (typeof listed === 'object' && listed !== null ? Object.hasOwn(listed, name) : undefined)
}

const listOf = (listed: readonly JsonValue[]): ((name: string) => boolean) => {
  if (listed.length <= 8) return (name) => listed.includes(name)
  const names = new Set(listed)
  return (name) => names.has(name)
}

/**
 * Returns a copy of `named` that is marked as Ruby keyword arguments: `performLater(1, kwargs({ width: 2 }))` calls `perform(1, width: 2)`.
 * It must be the last argument (or the last element of an array). Without entries it is left out.
 */
export const kwargs = <T extends object>(named: T): T => markedCopy(named, WRAPPER)

/** Whether `value` is a keywords hash: read from a Ruby call with keyword arguments, or created by `kwargs()`. */
export const isKeywords = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && kinds.get(value)?.marker === 'keywords'

/** A copy of `hash` whose keys are symbols in Ruby. Nested objects are not changed. */
export const symbolKeys = <T extends object>(hash: T): T => markedCopy(hash, SYMBOL_KEYS)

/** A copy of `hash` that is a HashWithIndifferentAccess in Ruby, including the plain objects in it. */
export const indifferentAccess = <T extends object>(hash: T): T => markedCopy(hash, INDIFFERENT)

const markedCopy = <T extends object>(hash: T, kind: HashKind): T => {
  if (!isPlainObject(hash))
    throw new SerializationError('Only a plain object can be keywords or a hash with symbol keys')
  return rememberKind(copyHash(hash) as T, kind)
}

/** A copy without a prototype, in which `__proto__` is an ordinary key. */
export const copyHash = (hash: object): Record<string, unknown> => {
  const copy = Object.create(null) as Record<string, unknown>
  for (const [key, value] of Object.entries(hash)) copy[key] = value
  return copy
}

/** Whether `value` is a plain object: an object literal, parsed JSON, or an object without a prototype; also of another realm. */
export const isPlainObject = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value) as object | null
  return (
    prototype === Object.prototype ||
    prototype === null ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
  )
}
