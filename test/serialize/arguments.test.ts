import { describe, expect, test } from 'vitest'
import { SerializationError } from '../../src/errors.ts'
import {
  deserializeArguments,
  type SerializeOptions,
  serializeArguments,
} from '../../src/serialize/arguments/arguments.ts'
import { type JsonValue, parseJson, stringifyJson } from '../../src/serialize/json.ts'
import {
  RubyBigDecimal,
  RubyDuration,
  RubyFloat,
  RubyRange,
  RubySerialized,
  sym,
} from '../../src/serialize/values/ruby-values.ts'

const S = 'ActiveJob::Serializers::'

const wireOf = (value: unknown, options?: SerializeOptions): JsonValue | undefined =>
  serializeArguments([value], options)[0]

describe('JavaScript values', () => {
  test.each<[string, unknown, string]>([
    ['null', null, 'null'],
    ['a boolean', true, 'true'],
    ['an integer', 7, '7'],
    ['a bigint', 2n ** 70n, '1180591620717411303424'],
    ['a fraction', 0.1, '0.1'],
    ['negative zero', -0, '-0.0'],
    ['RubyFloat', new RubyFloat(1), '1.0'],
    ['text', 'café 😀', '"café 😀"'],
    ['a symbol', sym('a'), `{"_aj_serialized":"${S}SymbolSerializer","value":"a"}`],
    ['Symbol.for', Symbol.for('a'), `{"_aj_serialized":"${S}SymbolSerializer","value":"a"}`],
    ['a Date', new Date(0), `{"_aj_serialized":"${S}TimeSerializer","value":"1970-01-01T00:00:00.000000000Z"}`],
    [
      'a Date before 1970',
      new Date(-1),
      `{"_aj_serialized":"${S}TimeSerializer","value":"1969-12-31T23:59:59.999000000Z"}`,
    ],
    [
      'a Date after 9999',
      new Date(253402300800000),
      `{"_aj_serialized":"${S}TimeSerializer","value":"10000-01-01T00:00:00.000000000Z"}`,
    ],
    ['an array', [1, [null]], '[1,[null]]'],
    ['a plain object', { a: 1 }, '{"a":1,"_aj_symbol_keys":[]}'],
    ['an object without prototype', Object.assign(Object.create(null), { a: 1 }), '{"a":1,"_aj_symbol_keys":[]}'],
    ['nested objects', { a: [{ b: 1 }] }, '{"a":[{"b":1,"_aj_symbol_keys":[]}],"_aj_symbol_keys":[]}'],
    ['undefined entries', { a: undefined, b: 1 }, '{"b":1,"_aj_symbol_keys":[]}'],
    [
      'a Map',
      new Map<unknown, unknown>([
        ['a', 1],
        [sym('b'), 2],
        [Symbol.for('c'), 3],
      ]),
      '{"a":1,"b":2,"c":3,"_aj_symbol_keys":["b","c"]}',
    ],
    ['a boxed number', Object(5), '5'],
    ['a boxed string', Object('x'), '"x"'],
    ['a boxed boolean', Object(false), 'false'],
    ['a boxed bigint', Object(5n), '5'],
    [
      'a duration',
      RubyDuration.of({ hours: 1.5 }),
      `{"_aj_serialized":"${S}DurationSerializer","value":5400.0,"parts":[[{"_aj_serialized":"${S}SymbolSerializer","value":"hours"},1.5]]}`,
    ],
    ['an opaque value', new RubySerialized('X', { a: new RubyFloat(1) }), '{"_aj_serialized":"X","a":1.0}'],
  ])('%s has the form of Ruby', (_name, value, json) => {
    expect(stringifyJson(wireOf(value) ?? null)).toBe(json)
  })

  class Money {
    readonly cents = 5
    toJSON() {
      return { cents: 5 }
    }
  }

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['a hole in an array', new Array(1)],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['a float NaN', new RubyFloat(Number.NaN)],
    ['an integral number beyond 2^53-1', 2 ** 53],
    ['text with U+0000', 'a\0b'],
    ['an unpaired surrogate', 'a\ud800b'],
    ['a key with U+0000', { 'a\0b': 1 }],
    ['an unpaired surrogate in a symbol', sym('\udc00')],
    ['a Buffer', Buffer.from('a')],
    ['a typed array', new Uint8Array(2)],
    ['an ArrayBuffer', new ArrayBuffer(2)],
    ['an invalid Date', new Date(Number.NaN)],
    ['a Set', new Set([1])],
    ['a RegExp', /a/],
    ['an Error', new Error('a')],
    ['a URL', new URL('gid://a/b/c')],
    ['a function', () => 1],
    ['a promise', Promise.resolve()],
    ['an instance with toJSON', new Money()],
    ['a local symbol', Symbol('a')],
    ['a class', Money],
    ['an object with a symbol key', { [Symbol.for('a')]: 1 }],
    ['an opaque value whose fields JSON would change', new RubySerialized('X', { a: new Date() })],
    ['an opaque value that renames itself', new RubySerialized('X', { _aj_serialized: 'Y' })],
  ])('%s is refused, also inside [AJ-021] [AJ-043]', (_name, value) => {
    expect(() => wireOf(value)).toThrow(SerializationError)
    expect(() => wireOf([value])).toThrow(SerializationError)
    expect(() => wireOf(new Map([['a', [value]]]))).toThrow(SerializationError)
  })

  test('the error for binary data names the conversion to use', () => {
    expect(() => wireOf(Buffer.from('a'))).toThrow(/Buffer has no Active Job form; encode it as base64 yourself/)
  })

  test('a cyclic structure is refused, a shared one is not [AJ-043]', () => {
    const cyclic: { self?: unknown } = {}
    cyclic.self = [new Map([['a', cyclic]])]
    expect(() => wireOf(cyclic)).toThrow(/cyclic/)
    const shared = { a: 1 }
    expect(wireOf([shared, shared, { shared }])).toHaveLength(3)
  })

  test('arguments nested too deeply for the stack are refused, not fatal', () => {
    let deep: unknown = 1
    for (let level = 0; level < 100_000; level++) deep = [deep]
    expect(() => wireOf(deep)).toThrow(/nested too deeply/)
  })

  test('undefinedAsNull writes undefined as null, yet leaves out entries of objects', () => {
    expect(serializeArguments([undefined, [undefined], { a: undefined }], { undefinedAsNull: true })).toEqual([
      null,
      [null],
      { _aj_symbol_keys: [] },
    ])
  })

  test('an object of another realm counts as plain', async () => {
    const { runInNewContext } = await import('node:vm')
    expect(wireOf(runInNewContext('({ a: 1 })'))).toEqual({ a: 1, _aj_symbol_keys: [] })
  })
})

describe('what older Rails cannot read', () => {
  test('a Range needs Rails 7.0 [AJ-038]', () => {
    expect(() => wireOf([new RubyRange(1, null)], { railsVersion: '6.1' })).toThrow(
      /Range \(Rails 6.1 cannot read it\)/,
    )
    expect(wireOf(new RubyRange(1, null), { railsVersion: '7.0' })).toMatchObject({ begin: 1, end: null })
  })

  test('a BigDecimal needs Rails 7.1, or becomes its text by option', () => {
    const value = new RubyBigDecimal('1.50')
    expect(() => wireOf(value, { railsVersion: '7.0' })).toThrow(/Rails 7.0 cannot read a BigDecimal/)
    expect(wireOf(value, { railsVersion: '7.0', bigDecimals: 'text' })).toBe('1.50')
    expect(wireOf(value, { railsVersion: '7.1', bigDecimals: 'text' })).toMatchObject({ value: '1.50' })
  })
})

test('looseFloats gives every float as a number', () => {
  const wire = parseJson(
    `[1.0,[2.0],{"_aj_serialized":"${S}DurationSerializer","value":5400.0,"parts":[]}]`,
  ) as JsonValue[]
  expect(deserializeArguments(wire, { looseFloats: true })).toEqual([1, [2], new RubyDuration(5400, [])])
})
