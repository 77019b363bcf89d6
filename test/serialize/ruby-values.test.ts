import { describe, expect, test } from 'vitest'
import { DeserializationError, SerializationError } from '../../src/errors.ts'
import { deserializeArguments, serializeArguments } from '../../src/serialize/arguments/arguments.ts'
import { type JsonValue, parseJson, stringifyJson } from '../../src/serialize/json.ts'
import {
  RubyBigDecimal,
  RubyConstant,
  RubyDate,
  RubyDateTime,
  RubyDuration,
  RubyFloat,
  RubyRange,
  RubySymbol,
  RubyTime,
  RubyTimeWithZone,
  sym,
} from '../../src/serialize/values/ruby-values.ts'
import { canonical } from './canonical.ts'

const S = 'ActiveJob::Serializers::'
const form = (serializer: string, fields: string): string =>
  `[{"_aj_serialized":"${S}${serializer}Serializer",${fields}}]`
const read = (json: string): unknown => deserializeArguments(parseJson(json) as JsonValue[])[0]
const rewritten = (json: string): unknown => canonical(serializeArguments([read(json)]))
const asWritten = (json: string): unknown => canonical(parseJson(json))
const symbol = (name: string): string => form('Symbol', `"value":"${name}"`).slice(1, -1)

describe('times', () => {
  test.each([
    ['Z', RubyTime],
    ['+00:00', RubyTime],
    ['+05:30', RubyTime],
    ['-00:30', RubyTime],
  ])('the offset %s survives with nanoseconds, in a Date [AJ-034]', (offset, Class) => {
    const json = form('Time', `"value":"2024-02-29T12:34:56.123456789${offset}"`)
    const time = read(json) as RubyTime
    expect(time).toBeInstanceOf(Class)
    expect(time).toBeInstanceOf(Date)
    expect([time.offset, time.nanoseconds]).toEqual([offset, 123_456_789])
    expect(rewritten(json)).toEqual(asWritten(json))
  })

  test('a DateTime stays one, with +00:00 for UTC', () => {
    const json = form('DateTime', '"value":"2024-02-29T12:34:56.789000000+00:00"')
    expect(read(json)).toBeInstanceOf(RubyDateTime)
    expect(rewritten(json)).toEqual(asWritten(json))
  })

  test.each(['America/New_York', 'Etc/UTC', 'Eastern Time (US & Canada)', 'Tokyo'])(
    'a TimeWithZone keeps the identifier %s unchanged [AJ-035]',
    (zone) => {
      const json = form('TimeWithZone', `"value":"2024-02-29T07:34:56.000000001-05:00","time_zone":"${zone}"`)
      expect(read(json)).toMatchObject({ timeZone: zone, offset: '-05:00' })
      expect(rewritten(json)).toEqual(asWritten(json))
    },
  )

  test('a TimeWithZone without time_zone stays without it [AJ-035]', () => {
    const json = form('TimeWithZone', '"value":"2024-02-29T12:34:56.000000000Z"')
    expect(read(json)).toBeInstanceOf(RubyTimeWithZone)
    expect(read(json)).toMatchObject({ timeZone: undefined })
    expect(rewritten(json)).toEqual(asWritten(json))
  })

  test('a time that a Date cannot hold is an error', () => {
    expect(() => read(form('Time', '"value":"300000-01-01T00:00:00Z"'))).toThrow(DeserializationError)
    expect(() => read(form('TimeWithZone', '"value":"300000-01-01T00:00:00Z","time_zone":"Etc/UTC"'))).toThrow(
      DeserializationError,
    )
  })
})

describe('durations', () => {
  test('order of the parts and kinds of numbers survive [AJ-037]', () => {
    const json = form(
      'Duration',
      `"value":5400.0,"parts":[[${symbol('minutes')},30],[${symbol('hours')},1.0],[${symbol('days')},0],[${symbol('seconds')},0.5]]`,
    )
    const duration = read(json) as RubyDuration
    expect(duration.value).toEqual(new RubyFloat(5400))
    expect(duration.parts.map(([unit]) => unit)).toEqual(['minutes', 'hours', 'days', 'seconds'])
    expect(Number(duration)).toBe(5400)
    expect(rewritten(json)).toEqual(asWritten(json))
  })

  test.each<[Parameters<typeof RubyDuration.of>[0], string]>([
    [{ days: 1, hours: 12 }, '129600'],
    [{ hours: 1.5 }, '5400.0'],
    [{ seconds: 0.5 }, '0.5'],
    [{ seconds: 0 }, '0'],
    [{ years: 1, months: 1, weeks: 1, minutes: 1, seconds: 1 }, '34791559'],
    [{ days: -1 }, '-86400'],
  ])('RubyDuration.of(%j) lasts %s seconds, Integer or Float as in Ruby [AJ-037]', (amounts, seconds) => {
    const duration = RubyDuration.of(amounts)
    expect(stringifyJson(duration.value)).toBe(seconds)
    expect(duration.parts).toEqual(Object.entries(amounts))
  })

  test.each([
    '"value":"1","parts":[]',
    '"value":1,"parts":[[1]]',
    '"value":1,"parts":[[5,1]]',
    '"value":1,"parts":[["hours","1"]]',
    '"parts":[]',
    '"value":1,"parts":5',
  ])('%s is an error', (fields) => {
    expect(() => read(form('Duration', fields))).toThrow(DeserializationError)
  })
})

describe('ranges', () => {
  test.each([
    '"begin":1,"end":null,"exclude_end":false',
    '"begin":null,"end":5,"exclude_end":true',
    '"begin":null,"end":null,"exclude_end":false',
    `"begin":${symbol('a')},"end":${symbol('c')},"exclude_end":false`,
    '"begin":1.5,"end":2,"exclude_end":false',
    `"begin":{"_aj_serialized":"${S}DateSerializer","value":"2024-01-01"},"end":null,"exclude_end":false`,
    `"begin":{"_aj_serialized":"${S}TimeSerializer","value":"2024-01-01T00:00:00.000000000Z"},"end":{"_aj_serialized":"${S}TimeSerializer","value":"2024-01-02T00:00:00.000000000+05:30"},"exclude_end":true`,
  ])('%s survives [AJ-038]', (fields) => {
    expect(read(form('Range', fields))).toBeInstanceOf(RubyRange)
    expect(rewritten(form('Range', fields))).toEqual(asWritten(form('Range', fields)))
  })

  test.each([
    '"begin":1,"end":"a"',
    `"begin":${symbol('a')},"end":"a"`,
    '"begin":true,"end":1',
    `"begin":1,"end":{"_aj_serialized":"${S}DateSerializer","value":"2024-01-01"}`,
  ])('%s has no order', (fields) => {
    expect(() => read(form('Range', fields))).toThrow('bad value for range')
  })
})

describe('BigDecimal', () => {
  test.each([
    '1.5',
    '0.0',
    '-0.0',
    '123456789012345678901234567890.123456789',
    '0.00000000000000000001',
    'NaN',
    'Infinity',
    '-Infinity',
    '1e3',
    ' 1_000 ',
    '0.15e1',
    '1d5',
  ])('%j keeps its text [AJ-039]', (text) => {
    expect(String(read(form('BigDecimal', `"value":"${text}"`)))).toBe(text)
    expect(rewritten(form('BigDecimal', `"value":"${text}"`))).toEqual(
      asWritten(form('BigDecimal', `"value":"${text}"`)),
    )
  })

  test('an integer token is read exactly [AJ-039]', () => {
    expect(String(read(form('BigDecimal', '"value":12345678901234567890'))).toString()).toBe('12345678901234567890')
  })

  test.each(['"abc"', '""', '"1."', '"1__0"', '"- 1"', '"0x10"', '"nan"', '"1e"', '1.5', '1.0', 'null'])(
    '%s is an error',
    (value) => {
      expect(() => read(form('BigDecimal', `"value":${value}`))).toThrow(DeserializationError)
    },
  )

  test('text that is no decimal number is refused by BigDecimal', () => {
    expect(() => new RubyBigDecimal('1,5')).toThrow(SerializationError)
  })
})

describe('symbols, constants, dates', () => {
  test('symbols of one name are one object', () => {
    expect(read(`[${symbol('with space')}]`)).toBe(sym('with space'))
    expect(RubySymbol.for('a')).toBe(sym('a'))
    expect(sym('a')).not.toBe(sym('b'))
    expect(`${sym('a')} ${JSON.stringify([sym('a')])}`).toBe('a ["a"]')
  })

  test('symbols without references are garbage-collected', async () => {
    const { setFlagsFromString } = await import('node:v8')
    const { runInNewContext } = await import('node:vm')
    setFlagsFromString('--expose_gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const name = 'forgotten'
    const reference = new WeakRef(RubySymbol.for(name))
    await new Promise((resolve) => setImmediate(resolve))
    collectGarbage()
    expect(reference.deref()).toBeUndefined()
    expect(RubySymbol.for(name).name).toBe(name)
  })

  test.each(['String', 'Blog::Post', '::String', 'Ünicode::A_1'])('the constant %s is a name [AJ-040]', (name) => {
    expect(read(form('Module', `"value":"${name}"`))).toEqual(new RubyConstant(name))
    expect(rewritten(form('Module', `"value":"${name}"`))).toEqual(asWritten(form('Module', `"value":"${name}"`)))
  })

  test.each(['""', '"lower"', '"A::"', '"A b"', '"../x"', 'null', '5'])('%s is no constant', (value) => {
    expect(() => read(form('Module', `"value":${value}`))).toThrow(DeserializationError)
  })

  test.each(['2024-02-29', '0001-01-01', '-4712-01-01', '12024-01-01'])('the date %s survives', (text) => {
    expect(read(form('Date', `"value":"${text}"`))).toBeInstanceOf(RubyDate)
    expect(rewritten(form('Date', `"value":"${text}"`))).toEqual(asWritten(form('Date', `"value":"${text}"`)))
  })

  test('values print as their text in a log', () => {
    const values = [new RubyFloat(1), new RubyDate(2024, 2, 29), new RubyBigDecimal('1.50'), sym('a')]
    expect(JSON.stringify(values)).toBe('[1,"2024-02-29","1.50","a"]')
    expect(new RubyFloat(1.5).valueOf() + 1).toBe(2.5)
    expect([String(new RubyFloat(Number.NaN)), String(new RubyConstant('A'))]).toEqual(['NaN', 'A'])
  })
})
