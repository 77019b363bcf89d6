import fc from 'fast-check'
import { parse as parseLossless } from 'lossless-json'
import { describe, expect, test } from 'vitest'
import { SerializationError } from '../../src/errors.ts'
import { type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../src/serialize/json.ts'
import { RubyFloat } from '../../src/serialize/values/ruby-values.ts'
import { canonical } from './canonical.ts'

const float = (value: number) => new RubyFloat(value)

describe('parseJson', () => {
  test.each<[string, JsonValue]>([
    ['1', 1],
    ['-1', -1],
    ['0', 0],
    ['-0', 0],
    ['9007199254740991', 9007199254740991],
    ['-9007199254740991', -9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['9007199254740993', 9007199254740993n],
    ['1180591620717411303424', 1180591620717411303424n],
    ['1000000000000000000000', 10n ** 21n],
    ['1.5', 1.5],
    ['-2.25', -2.25],
    ['1.50', 1.5],
    ['0.30000000000000004', 0.30000000000000004],
    ['1e-7', 1e-7],
    ['1.0', float(1)],
    ['1.00', float(1)],
    ['0.0', float(0)],
    ['-0.0', float(-0)],
    ['1e2', float(100)],
    ['1E2', float(100)],
    ['1.0e+15', float(1e15)],
    ['1e25', float(1e25)],
    ['1.5e1', float(15)],
    ['1e400', float(Number.POSITIVE_INFINITY)],
    ['1e-400', float(0)],
    ['9007199254740993.5', float(9007199254740994)],
    ['0.99999999999999999999', float(1)],
    ['123456789012345.9999999', float(123456789012346)],
  ])('%s keeps its kind and value, alone or nested [AJ-019]', (token, value) => {
    expect(parseJson(token)).toStrictEqual(value)
    expect(parseJson(` ${token}\n`)).toStrictEqual(value)
    expect(parseJson(`[${token}]`)).toStrictEqual([value])
    expect(parseJson(`{"a":${token},"b":[1, ${token} ,"${token}"]}`)).toEqual({ a: value, b: [1, value, token] })
  })

  test('numbers inside strings stay text', () => {
    const text = '["1.0", "a: 1.0, b", "12:34:56.123456789Z", "9007199254740993", "\\", 1.0", "{1.0}"]'
    expect(parseJson(text)).toEqual(JSON.parse(text))
  })

  test.each(['{"__proto__":{"polluted":1},"a":2}', '{"__proto__":{"polluted":1},"a":2.0}'])(
    '%s: a key named __proto__ is data and pollutes nothing [AJ-031]',
    (text) => {
      const object = parseJson(text) as JsonObject
      expect(Object.keys(object)).toEqual(['__proto__', 'a'])
      expect(Object.getOwnPropertyDescriptor(object, '__proto__')?.value).toEqual({ polluted: 1 })
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
      expect((object as { polluted?: unknown }).polluted).toBeUndefined()
      expect(stringifyJson(object)).toBe(text)
    },
  )

  test.each(['{"a":1,"a":2}', '{"a":1.0,"a":2}', '{"a":{"b":1.0},"a":2}'])(
    '%s: the last of duplicate keys wins',
    (text) => {
      expect(parseJson(text)).toEqual({ a: 2 })
    },
  )

  test.each([
    '',
    '{',
    '[1,]',
    '01.0',
    '1.',
    '.5',
    '+1.0',
    '{1.0:2}',
    '[1.0 2]',
    'NaN',
    'nul',
    "'a'",
    '["\u0001", 1.0]',
    '{"a":1.0}}',
  ])('%j is a SyntaxError', (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError)
  })

  test('the shortcut never changes what the slow parser would read', () => {
    const slow = (text: string) => parseLossless(text, undefined, (token) => numberKind(token))
    const token = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
      fc.integer().map(String),
      fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }).map(String),
      fc.stringMatching(/^-?(0|[1-9]\d{0,17})(\.\d{1,18})?([eE][-+]?\d{1,2})?$/),
    )
    const separator = fc.constantFrom('', ' ', '\n', '\t')
    fc.assert(
      fc.property(fc.array(fc.tuple(token, separator, separator, fc.string())), (tokens) => {
        const list = tokens.map(([number, before, after, text]) => `${before}${number}${after},${JSON.stringify(text)}`)
        for (const text of [`[${list.join(',')}]`, `{"a":[${list.join(',')}]}`]) {
          expect(canonical(parseJson(text))).toEqual(canonical(slow(text) as JsonValue))
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

/** The rule itself, without any shortcut. */
const numberKind = (token: string): JsonValue => {
  const isFloat = /[.eE]/.test(token)
  if (!isFloat)
    return BigInt(token) >= -(2n ** 53n) + 1n && BigInt(token) <= 2n ** 53n - 1n ? Number(BigInt(token)) : BigInt(token)
  return Number.isInteger(Number(token)) ? float(Number(token)) : Number(token)
}

describe('stringifyJson', () => {
  test.each<[string, JsonValue]>([
    ['1', 1],
    ['-0.0', -0],
    ['1.5', 1.5],
    ['1e-7', 1e-7],
    ['5', 5n],
    ['1180591620717411303424', 2n ** 70n],
    ['1.0', float(1)],
    ['-0.0', float(-0)],
    ['1.5', float(1.5)],
    ['1000000000000000.0', float(1e15)],
    ['10000000000000000905969664.0', float(1e25)],
    ['null', null],
    ['true', true],
    ['"a\\"\\n\u2028é"', 'a"\n\u2028é'],
    ['[]', []],
    ['{}', {}],
    ['[1,[2.0]]', [1, [float(2)]]],
    ['{"a":{"b":5},"c d":[null]}', { a: { b: 5n }, 'c d': [null] }],
  ])('%s is written so that Ruby reads the same kind [AJ-018] [AJ-020]', (text, value) => {
    expect(stringifyJson(value)).toBe(text)
  })

  test.each([
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    2 ** 53,
    1e25,
    float(Number.POSITIVE_INFINITY),
    float(Number.NaN),
  ])('%s is refused: JSON or Ruby would change it [AJ-021]', (value) => {
    expect(() => stringifyJson([value])).toThrow(SerializationError)
  })

  test('every float survives, however it is spelled, and stays a float in positional notation [AJ-020]', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        const text = stringifyJson(float(number))
        expect(text).toMatch(/[.e]/)
        expect(Number.isInteger(number) && /e/.test(text)).toBe(false)
        expect(Number(parseJson(text))).toBe(number)
      }),
    )
  })

  test('every JSON value survives writing and reading', () => {
    const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, true, false),
        fc.string({ unit: 'grapheme' }),
        fc.maxSafeInteger(),
        fc.bigInt().filter((big) => !Number.isSafeInteger(Number(big))),
        fc.double({ noNaN: true, noDefaultInfinity: true, noInteger: true }),
        fc.double({ noNaN: true, noDefaultInfinity: true }).filter(Number.isInteger).map(float),
        fc.array(tie('value')),
        fc.dictionary(fc.string(), tie('value')) as fc.Arbitrary<JsonObject>,
      ),
    }))
    fc.assert(
      fc.property(value, (json) => {
        expect(canonical(parseJson(stringifyJson(json)))).toEqual(canonical(json))
      }),
    )
  })
})
