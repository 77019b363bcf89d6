import { SerializationError } from '../../errors.ts'
import type { JsonValue } from '../json.ts'

/** What a hash was in Ruby, beyond its string keys. JavaScript objects cannot say it themselves, so a WeakMap does. */
export interface HashKind {
  /** The marker it carries on the wire: `_aj_symbol_keys`, `_aj_ruby2_keywords`, `_aj_hash_with_indifferent_access`, none. */
  readonly marker: 'hash' | 'keywords' | 'indifferent' | 'bare'
  /** Whether keys are symbols: all but `exceptions`, so that a key added by a job follows the others. */
  readonly hasSymbolKeys: boolean
  readonly exceptions: ReadonlySet<string>
  /** Made by `kwargs()` in this process, not read: must be last, and vanishes when empty. */
  readonly isWrapper?: boolean
  /** Reserved keys that were data where they were read, because another marker won. */
  readonly carried?: ReadonlySet<string>
  /** Marker entries without effect (false, null), written back as they came. */
  readonly inert?: Readonly<Record<string, JsonValue>>
  /** The list of the marker when it is not simply the symbol keys in use. */
  readonly listed?: JsonValue
}

const NO_KEYS: ReadonlySet<string> = new Set()

// Shared, so that remembering a kind costs one WeakMap entry and nothing else.
export const STRING_KEYS: HashKind = { marker: 'hash', hasSymbolKeys: false, exceptions: NO_KEYS }
export const SYMBOL_KEYS: HashKind = { marker: 'hash', hasSymbolKeys: true, exceptions: NO_KEYS }
export const KEYWORDS: HashKind = { marker: 'keywords', hasSymbolKeys: true, exceptions: NO_KEYS }
export const INDIFFERENT: HashKind = { marker: 'indifferent', hasSymbolKeys: false, exceptions: NO_KEYS }
export const BARE: HashKind = { marker: 'bare', hasSymbolKeys: false, exceptions: NO_KEYS }
const WRAPPER: HashKind = { ...KEYWORDS, isWrapper: true }

const kinds = new WeakMap<object, HashKind>()

export const hashKind = (hash: object): HashKind | undefined => kinds.get(hash)

/** Remembers what `hash` is in Ruby and returns it. */
export const rememberKind = <T extends object>(hash: T, kind: HashKind): T => {
  kinds.set(hash, kind)
  return hash
}

export const isSymbolKey = (kind: HashKind, key: string): boolean => kind.hasSymbolKeys !== kind.exceptions.has(key)

/**
 * Ruby's `include?` on what a marker holds: a list, a text (substring), or a hash (key). Undefined where Ruby has no such
 * method. A list is a Set first, so that a huge hash does not take quadratic time.
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
 * Marks a copy of `named` as Ruby keyword arguments: `performLater(1, kwargs({ width: 2 }))` calls `perform(1, width: 2)`.
 * It must be the last argument (or the last element of an array); without entries it is left out.
 */
export const kwargs = <T extends object>(named: T): T => markedCopy(named, WRAPPER)

/** Whether `value` is a keywords hash: read from a Ruby call with keyword arguments, or made by `kwargs()`. */
export const isKeywords = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && kinds.get(value)?.marker === 'keywords'

/** A copy of `hash` whose keys are symbols in Ruby. Nested objects are not touched. */
export const symbolKeys = <T extends object>(hash: T): T => markedCopy(hash, SYMBOL_KEYS)

/** A copy of `hash` that is a HashWithIndifferentAccess in Ruby, as are the plain objects inside it. */
export const indifferentAccess = <T extends object>(hash: T): T => markedCopy(hash, INDIFFERENT)

const markedCopy = <T extends object>(hash: T, kind: HashKind): T => {
  if (!isPlainObject(hash))
    throw new SerializationError('Only a plain object can be keywords or a hash with symbol keys')
  return rememberKind(copyHash(hash) as T, kind)
}

/** A null-prototype copy, in which `__proto__` is a key like any other. */
export const copyHash = (hash: object): Record<string, unknown> => {
  const copy = Object.create(null) as Record<string, unknown>
  for (const [key, value] of Object.entries(hash)) copy[key] = value
  return copy
}

/** Whether `value` was written as `{}`, came from JSON, or has no prototype; objects of another realm count. */
export const isPlainObject = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value) as object | null
  return (
    prototype === Object.prototype ||
    prototype === null ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
  )
}
