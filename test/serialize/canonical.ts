import type { JsonValue } from '../../src/serialize/json.ts'
import { RubyFloat } from '../../src/serialize/values/ruby-values.ts'

/**
 * A JSON value in a form that `toEqual` compares as Ruby would: numbers by kind and value, keys in any order, and the
 * names in a marker in any order.
 */
export const canonical = (value: JsonValue): unknown => {
  if (value instanceof RubyFloat) return `Float ${value}`
  if (typeof value === 'bigint') return `Integer ${value}`
  if (typeof value === 'number') return `${Number.isInteger(value) ? 'Integer' : 'Float'} ${value}`
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(canonical)
  const entries = Object.entries(value).map(([key, element]) => [
    key,
    isMarker(key) ? sorted(element) : canonical(element),
  ])
  return new Map(entries.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)) as [string, unknown][])
}

const isMarker = (key: string): boolean => key === '_aj_symbol_keys' || key === '_aj_ruby2_keywords'

const sorted = (list: JsonValue): unknown => (Array.isArray(list) ? list.map(canonical).sort() : canonical(list))
