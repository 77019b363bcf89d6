import type { JsonObject, JsonValue } from '../json.ts'
import { RubySymbol } from '../values/ruby-values.ts'
import { checkedText, type Encode, type Encoding, enter } from './encoding.ts'
import { type HashKind, hashKind, INDIFFERENT, isSymbolKey, namesListed, STRING_KEYS } from './hash-kind.ts'
import { refusalOf } from './places.ts'
import { GLOBALID_KEY, INDIFFERENT_KEY, isReservedKey, KEYWORDS_KEY, SYMBOL_KEYS_KEY } from './wire-names.ts'

/** Encodes a plain object: its entries, then the marker of its kind. Undefined values are left out. */
export const encodeHash = (hash: object, encoding: Encoding, encode: Encode): JsonObject => {
  assertNoSymbolProperties(hash)
  enter(hash, encoding)
  const kind = hashKind(hash) ?? encoding.plainKind
  const inner = encodingInside(kind, encoding)
  const wire = startOf(kind)
  const symbols: string[] = []
  for (const key of Object.keys(hash)) {
    const value = (hash as Record<string, unknown>)[key]
    if (value === undefined) continue
    assertKey(key, kind)
    wire[key] = encode(value, inner)
    if (isSymbolKey(kind, key)) symbols.push(key)
  }
  encoding.path.pop()
  return mark(wire, kind, symbols)
}

/** Encodes a Map: string keys stay strings, RubySymbol and Symbol.for() keys become symbols. */
export const encodeMap = (map: ReadonlyMap<unknown, unknown>, encoding: Encoding, encode: Encode): JsonObject => {
  enter(map, encoding)
  const kind = hashKind(map) ?? STRING_KEYS
  const inner = encodingInside(kind, encoding)
  const wire = startOf(kind)
  const symbols: string[] = []
  for (const [key, value] of map) {
    if (value === undefined) continue
    const symbol = symbolName(key)
    const name = symbol ?? stringKey(key)
    assertKey(name, kind)
    if (Object.hasOwn(wire, name)) throw refusalOf(key, `a hash cannot hold ${name} as string and as symbol`)
    wire[name] = encode(value, inner)
    if (symbol !== undefined) symbols.push(symbol)
  }
  encoding.path.pop()
  return mark(wire, kind, symbols)
}

const assertNoSymbolProperties = (hash: object): void => {
  for (const symbol of Object.getOwnPropertySymbols(hash)) {
    if (!Object.prototype.propertyIsEnumerable.call(hash, symbol)) continue
    throw refusalOf(symbol, `the key ${String(symbol)} would be lost; use a Map with RubySymbol keys`)
  }
}

// Rails converts hashes inside a HashWithIndifferentAccess, so plain objects inside one are written the same way.
const encodingInside = (kind: HashKind, encoding: Encoding): Encoding =>
  kind.marker === 'indifferent' ? { ...encoding, plainKind: INDIFFERENT } : encoding

const startOf = ({ inert }: HashKind): JsonObject => Object.assign(Object.create(null) as JsonObject, inert)

const assertKey = (key: string, kind: HashKind): void => {
  checkedText(key)
  if (isReservedKey(key) && !kind.carried?.has(key)) throw reservedKey(key)
}

const reservedKey = (key: string) => refusalOf(key, `Can't serialize a Hash with reserved key ${JSON.stringify(key)}`)

const symbolName = (key: unknown): string | undefined => {
  if (key instanceof RubySymbol) return key.name
  return typeof key === 'symbol' ? Symbol.keyFor(key) : undefined
}

const stringKey = (key: unknown): string => {
  if (typeof key === 'string') return key
  throw refusalOf(
    key,
    `Only string and symbol hash keys may be serialized as job arguments, but ${String(key)} is a ${typeof key}`,
  )
}

const mark = (wire: JsonObject, kind: HashKind, symbols: string[]): JsonObject => {
  switch (kind.marker) {
    case 'indifferent':
      wire[INDIFFERENT_KEY] = kind.listed ?? true
      return wire
    case 'hash':
      wire[SYMBOL_KEYS_KEY] = markerList(wire, kind, symbols)
      return wire
    case 'keywords':
      wire[KEYWORDS_KEY] = markerList(wire, kind, symbols)
      return wire
    case 'bare':
      // A hash with only this key would be read as a record.
      if (GLOBALID_KEY in wire && Object.keys(wire).length === 1) throw reservedKey(GLOBALID_KEY)
      return wire
    default:
      return kind.marker satisfies never
  }
}

/** The list that was read, if it still names the same keys; otherwise the symbol keys in use. */
const markerList = (wire: JsonObject, { listed }: HashKind, symbols: string[]): JsonValue => {
  if (listed === undefined) return symbols
  const isListed = namesListed(listed)
  const inUse = new Set(symbols)
  const isUnchanged = Object.keys(wire).every((key) => isListed(key) === inUse.has(key))
  return isUnchanged ? listed : symbols
}
