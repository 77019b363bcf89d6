import { DeserializationError } from '../../errors.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { RubySymbol } from '../values/ruby-values.ts'
import type { Decode, Decoding } from './decoding.ts'
import {
  BARE,
  type HashKind,
  INDIFFERENT,
  isSymbolKey,
  KEYWORDS,
  namesListed,
  rememberKind,
  STRING_KEYS,
  SYMBOL_KEYS,
} from './hash-kind.ts'
import { INDIFFERENT_KEY, isReservedKey, MARKER_KEYS, SYMBOL_KEYS_KEY } from './wire-names.ts'

/** Decodes the entries into an object (or Map) and records the kind that its marker names. Throws the errors of `decode`. */
export const decodeHash = (wire: JsonObject, decoding: Decoding, decode: Decode): object => {
  const winner = MARKER_KEYS.findIndex((key) => isTruthy(wire[key]))
  const hash = Object.create(null) as Record<string, unknown>
  let hasOtherReserved = false
  for (const key of Object.keys(wire)) {
    if (key === MARKER_KEYS[winner]) continue
    if (isReservedKey(key)) {
      hasOtherReserved = true
      if (isReached(key, winner)) continue
    }
    hash[key] = decode(wire[key] as JsonValue, decoding)
  }
  const kind = kindOf(MARKER_KEYS[winner], wire, hash)
  const detailed = hasOtherReserved ? withReserved(kind, wire, hash) : kind
  return rememberKind(decoding.isMap ? mapOf(hash, kind) : hash, detailed)
}

type MarkerKey = (typeof MARKER_KEYS)[number]

const isTruthy = (value: JsonValue | undefined): boolean => value !== undefined && value !== null && value !== false

// Active Job arguments.rb#deserialize_hash deletes each marker that it checks, and stops at the first truthy one.
const isReached = (key: string, winner: number): boolean => {
  const index = (MARKER_KEYS as readonly string[]).indexOf(key)
  return index !== -1 && (winner === -1 || index < winner)
}

const kindOf = (winner: MarkerKey | undefined, wire: JsonObject, hash: object): HashKind => {
  if (winner === undefined) return BARE
  const listed = wire[winner] as JsonValue
  if (winner === INDIFFERENT_KEY) return listed === true ? INDIFFERENT : { ...INDIFFERENT, listed }
  const names = Object.keys(hash)
  const symbols = names.filter(symbolNames(listed))
  const kind = winner === SYMBOL_KEYS_KEY ? symbolKeysKind(names, symbols) : keywordsKind(names, symbols)
  const isPlainList = Array.isArray(listed) && listed.length === symbols.length
  return isPlainList ? kind : { ...kind, listed }
}

const symbolNames = (listed: JsonValue): ((name: string) => boolean) => {
  const isListed = namesListed(listed)
  return (name) => {
    const isSymbol = isListed(name)
    if (isSymbol !== undefined) return isSymbol
    throw new DeserializationError(`${String(listed)} cannot list the symbol keys of a hash`)
  }
}

const symbolKeysKind = (names: readonly string[], symbols: readonly string[]): HashKind => {
  if (symbols.length === 0) return STRING_KEYS
  return symbols.length === names.length ? SYMBOL_KEYS : { ...STRING_KEYS, exceptions: new Set(symbols) }
}

const keywordsKind = (names: readonly string[], symbols: readonly string[]): HashKind => {
  if (symbols.length === names.length) return KEYWORDS
  const listed = new Set(symbols)
  return { ...KEYWORDS, exceptions: new Set(names.filter((name) => !listed.has(name))) }
}

const withReserved = (kind: HashKind, wire: JsonObject, hash: object): HashKind => {
  const carried = new Set(Object.keys(hash).filter(isReservedKey))
  const inert = MARKER_KEYS.filter((key) => Object.hasOwn(wire, key) && !isTruthy(wire[key]) && !carried.has(key))
  return { ...kind, carried, inert: Object.fromEntries(inert.map((key) => [key, wire[key] as JsonValue])) }
}

const mapOf = (hash: Readonly<Record<string, unknown>>, kind: HashKind): Map<unknown, unknown> =>
  new Map(Object.entries(hash).map(([key, value]) => [isSymbolKey(kind, key) ? RubySymbol.for(key) : key, value]))
