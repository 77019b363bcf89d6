import { describe, expect, test } from 'vitest'
import { SerializationError } from '../../src/errors.ts'
import {
  deserializeArguments,
  indifferentAccess,
  isKeywords,
  kwargs,
  type SerializeOptions,
  serializeArguments,
  symbolKeys,
} from '../../src/serialize/arguments/arguments.ts'
import { type JsonValue, parseJson, stringifyJson } from '../../src/serialize/json.ts'
import { sym } from '../../src/serialize/values/ruby-values.ts'
import { canonical } from './canonical.ts'

const wireOf = (value: unknown, options?: SerializeOptions): JsonValue | undefined =>
  serializeArguments([value], options)[0]

describe('hash keys', () => {
  test.each<[SerializeOptions['hashKeys'], string]>([
    [undefined, '{"a":{"b":1,"_aj_symbol_keys":[]},"_aj_symbol_keys":[]}'],
    ['string', '{"a":{"b":1,"_aj_symbol_keys":[]},"_aj_symbol_keys":[]}'],
    ['symbol', '{"a":{"b":1,"_aj_symbol_keys":["b"]},"_aj_symbol_keys":["a"]}'],
    ['indifferent', '{"a":{"b":1,"_aj_hash_with_indifferent_access":true},"_aj_hash_with_indifferent_access":true}'],
  ])('hashKeys %s decides what a plain object is, and it always has a marker [AJ-026]', (hashKeys, json) => {
    expect(stringifyJson(wireOf({ a: { b: 1 } }, hashKeys ? { hashKeys } : {}) ?? null)).toBe(json)
  })

  test('symbolKeys and indifferentAccess mark one object, indifferent access also what is inside [AJ-028]', () => {
    expect(wireOf(symbolKeys({ a: { b: 1 } }))).toEqual({ a: { b: 1, _aj_symbol_keys: [] }, _aj_symbol_keys: ['a'] })
    expect(wireOf(indifferentAccess({ a: [{ b: 1 }] }))).toEqual({
      a: [{ b: 1, _aj_hash_with_indifferent_access: true }],
      _aj_hash_with_indifferent_access: true,
    })
  })

  const RESERVED = [
    '_aj_globalid',
    '_aj_symbol_keys',
    '_aj_ruby2_keywords',
    '_aj_serialized',
    '_aj_hash_with_indifferent_access',
  ]

  test.each(RESERVED)('%s is refused as string and as symbol, at any depth [AJ-029]', (key) => {
    for (const value of [{ [key]: 1 }, new Map([[sym(key), 1]]), kwargs({ [key]: 1 }), symbolKeys({ [key]: 1 })]) {
      expect(() => wireOf(value)).toThrow(`Can't serialize a Hash with reserved key "${key}"`)
      expect(() => wireOf([{ a: [value] }])).toThrow(SerializationError)
    }
  })

  test('other keys that begin with _aj are fine', () => {
    expect(wireOf({ _aj: 1, _aj_other: 2 })).toEqual({ _aj: 1, _aj_other: 2, _aj_symbol_keys: [] })
  })

  test.each([1, 1.5, null, ['a'], true, {}, Symbol('local')])('a Map with the key %j is refused [AJ-030]', (key) => {
    expect(() => wireOf(new Map([[key, 1]]))).toThrow(/Only string and symbol hash keys/)
  })

  test('a string and a symbol of one name are refused [AJ-030]', () => {
    expect(() =>
      wireOf(
        new Map<unknown, unknown>([
          ['a', 1],
          [sym('a'), 2],
        ]),
      ),
    ).toThrow(/a as string and as symbol/)
    expect(() =>
      wireOf(
        new Map<unknown, unknown>([
          [Symbol.for('a'), 1],
          [sym('a'), 2],
        ]),
      ),
    ).toThrow(SerializationError)
  })

  test('a key named __proto__ is data in both directions [AJ-031]', () => {
    const json = '{"__proto__":{"x":1,"_aj_symbol_keys":[]},"_aj_symbol_keys":["__proto__"]}'
    const [hash] = deserializeArguments([parseJson(json)]) as [Record<string, unknown>]
    expect(Object.keys(hash)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(hash)).toBeNull()
    expect(stringifyJson(wireOf(hash) ?? null)).toBe(json)
    expect(({} as { x?: unknown }).x).toBeUndefined()
  })
})

describe('keywords', () => {
  test('a wrapper in last position lists every key [AJ-032]', () => {
    expect(serializeArguments([1, kwargs({ b: 2, c: { d: 1 } })])).toEqual([
      1,
      { b: 2, c: { d: 1, _aj_symbol_keys: [] }, _aj_ruby2_keywords: ['b', 'c'] },
    ])
  })

  test.each([{}, { a: undefined }])('the wrapper of %j emits nothing [AJ-032]', (named) => {
    expect(serializeArguments([1, kwargs(named)])).toEqual([1])
  })

  test('undefined entries are dropped before listing [AJ-032]', () => {
    expect(wireOf(kwargs({ a: undefined, b: 1 }))).toEqual({ b: 1, _aj_ruby2_keywords: ['b'] })
  })

  test('a wrapper elsewhere is refused, a plain object is never promoted [AJ-032]', () => {
    expect(() => serializeArguments([kwargs({ a: 1 }), 1])).toThrow(/last argument/)
    expect(() => serializeArguments([{ a: kwargs({ b: 1 }) }])).toThrow(/last argument/)
    expect(serializeArguments([1, { a: 1 }])).toEqual([1, { a: 1, _aj_symbol_keys: [] }])
  })

  test('only a plain object can be keywords', () => {
    expect(() => kwargs([1])).toThrow(SerializationError)
    expect(() => kwargs(new Map())).toThrow(SerializationError)
  })

  test('a mailer job carries keywords inside its args [AJ-032]', () => {
    const json =
      '["UM","hi","deliver_now",{"args":[1,{"x":2,"_aj_ruby2_keywords":["x"]}],"_aj_ruby2_keywords":["args"]}]'
    expect(serializeArguments(['UM', 'hi', 'deliver_now', kwargs({ args: [1, kwargs({ x: 2 })] })])).toEqual(
      JSON.parse(json),
    )
    expect(serializeArguments(deserializeArguments(JSON.parse(json)))).toEqual(JSON.parse(json))
  })

  test('keywords of Ruby are recognised, a trailing hash with symbol keys is not [AJ-033]', () => {
    const kinds = (json: string) => deserializeArguments(parseJson(json) as JsonValue[]).map(isKeywords)
    expect(kinds('[1,{"b":2,"_aj_ruby2_keywords":["b"]}]')).toEqual([false, true])
    expect(kinds('[1,{"b":2,"_aj_symbol_keys":["b"]}]')).toEqual([false, false])
    expect(kinds('[{"b":2,"_aj_symbol_keys":[],"_aj_ruby2_keywords":["b"]}]')).toEqual([false])
    expect(kinds('[{"b":2,"_aj_hash_with_indifferent_access":true},{"b":2}, null]')).toEqual([false, false, false])
    expect(isKeywords(kwargs({ a: 1 }))).toBe(true)
  })
})

describe('hashes read from the wire', () => {
  const MARKERS = [
    '{}',
    '{"a":1}',
    '{"_aj_symbol_keys":[]}',
    '{"a":1,"_aj_symbol_keys":["a"]}',
    '{"a":1,"b":2,"_aj_symbol_keys":["b"]}',
    '{"a":1,"_aj_symbol_keys":["a","zz"]}',
    '{"a":1,"_aj_symbol_keys":null}',
    '{"a":1,"_aj_symbol_keys":false,"_aj_ruby2_keywords":null}',
    '{"a":1,"_aj_symbol_keys":"abc"}',
    '{"a":1,"_aj_symbol_keys":{"a":0}}',
    '{"_aj_symbol_keys":true}',
    '{"a":1,"_aj_symbol_keys":[5,"a"]}',
    '{"a":1,"b":2,"_aj_ruby2_keywords":["a"]}',
    '{"a":1,"_aj_ruby2_keywords":[]}',
    '{"_aj_ruby2_keywords":[]}',
    '{"a":1,"_aj_symbol_keys":[],"_aj_ruby2_keywords":["a"]}',
    '{"a":1,"_aj_hash_with_indifferent_access":true,"_aj_symbol_keys":["a"]}',
    '{"a":1,"_aj_hash_with_indifferent_access":1}',
    '{"a":1,"_aj_hash_with_indifferent_access":false,"_aj_symbol_keys":["a"]}',
    '{"_aj_globalid":"gid://a/B/1","x":1}',
    '{"_aj_globalid":"gid://a/B/1","_aj_symbol_keys":[]}',
  ]

  test.each(MARKERS)('%s is written back unchanged [AJ-022] [AJ-024] [AJ-025] [AJ-027] [AJ-028]', (json) => {
    const nested = parseJson(`[${json},{"deep":[${json}],"_aj_symbol_keys":["deep"]}]`) as JsonValue[]
    for (const hashes of ['object', 'map'] as const) {
      expect(canonical(serializeArguments(deserializeArguments(nested, { hashes })))).toEqual(canonical(nested))
    }
  })

  test.each(['_aj_symbol_keys', '_aj_ruby2_keywords'])('a huge hash under %s takes no quadratic time', (marker) => {
    const names = Array.from({ length: 100_000 }, (_, index) => `key${index}`)
    const hash = { ...Object.fromEntries(names.map((name) => [name, 1])), last: 1, [marker]: [...names, 'absent'] }
    const before = process.cpuUsage()
    expect(stringifyJson(serializeArguments(deserializeArguments([hash])))).toBe(stringifyJson([hash]))
    // Linear takes some 0.2 s, quadratic took minutes. Of this process alone: the machine may be busy.
    const { user, system } = process.cpuUsage(before)
    expect((user + system) / 1_000_000).toBeLessThan(5)
  })

  test('a marker without a list is an error if the hash has other keys', () => {
    expect(() => deserializeArguments([{ a: 1, _aj_symbol_keys: true }])).toThrow(/cannot list the symbol keys/)
  })

  test('a key that a job adds follows the others', () => {
    const added = (json: string) => {
      const [hash] = deserializeArguments([parseJson(json)]) as [Record<string, unknown>]
      hash.new = 1
      return wireOf(hash)
    }
    expect(added('{"a":1,"_aj_symbol_keys":["a"]}')).toEqual({ a: 1, new: 1, _aj_symbol_keys: ['a', 'new'] })
    expect(added('{"a":1,"b":2,"_aj_symbol_keys":["a"]}')).toEqual({ a: 1, b: 2, new: 1, _aj_symbol_keys: ['a'] })
    expect(added('{"a":1,"_aj_symbol_keys":[]}')).toEqual({ a: 1, new: 1, _aj_symbol_keys: [] })
    expect(added('{"a":1,"_aj_symbol_keys":["a","new"]}')).toEqual({ a: 1, new: 1, _aj_symbol_keys: ['a', 'new'] })
    expect(added('{"a":1,"_aj_ruby2_keywords":["a"]}')).toEqual({ a: 1, new: 1, _aj_ruby2_keywords: ['a', 'new'] })
    expect(added('{"a":1}')).toEqual({ a: 1, new: 1 })
  })

  test('a list that no longer fits the keys is replaced', () => {
    const [hash] = deserializeArguments([{ a: 1, _aj_symbol_keys: 'abc' }]) as [Record<string, unknown>]
    hash.b = 1
    hash.x = 1
    delete hash.a
    expect(wireOf(hash)).toEqual({ b: 1, x: 1, _aj_symbol_keys: ['b', 'x'] })
  })

  test('a hash that would turn into a record when its other keys go is refused [AJ-022] [AJ-029]', () => {
    const [hash] = deserializeArguments([{ _aj_globalid: 'gid://a/B/1', x: 1 }]) as [Record<string, unknown>]
    delete hash.x
    expect(() => wireOf(hash)).toThrow(/reserved key/)
  })

  test('a reserved key that was data stays allowed only where it was', () => {
    const [hash] = deserializeArguments([{ a: 1, _aj_symbol_keys: ['a'], _aj_ruby2_keywords: 1 }]) as [object]
    expect(wireOf(hash)).toEqual({ a: 1, _aj_symbol_keys: ['a'], _aj_ruby2_keywords: 1 })
    expect(() => wireOf({ ...hash })).toThrow(/reserved key/)
  })

  test('the option hashes: map gives symbol keys as RubySymbol', () => {
    const [map] = deserializeArguments([{ a: 1, b: [{ c: 2, _aj_symbol_keys: [] }], _aj_symbol_keys: ['a'] }], {
      hashes: 'map',
    })
    expect(map).toEqual(
      new Map<unknown, unknown>([
        [sym('a'), 1],
        ['b', [new Map([['c', 2]])]],
      ]),
    )
  })
})
