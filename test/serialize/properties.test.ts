import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { deserializeArguments, kwargs, serializeArguments } from '../../src/serialize/arguments/arguments.ts'
import { parseJobData, stringifyJobData } from '../../src/serialize/job-data.ts'
import { type JsonValue, parseJson, stringifyJson } from '../../src/serialize/json.ts'
import {
  GlobalID,
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
} from '../../src/serialize/values/ruby-values.ts'
import { canonical } from './canonical.ts'

const RESERVED = /^_aj_(?:globalid|serialized|symbol_keys|ruby2_keywords|hash_with_indifferent_access)$/

// Whole characters only, and none that jsonb refuses.
const text = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0'))
const key = fc
  .oneof(text, fc.constantFrom('__proto__', 'constructor', '_aj', '1'))
  .filter((value) => !RESERVED.test(value))
const float = fc.double({ noNaN: true, noDefaultInfinity: true })
const symbol = text.map((name) => RubySymbol.for(name))
const nanoseconds = fc.nat(999_999)
const epochMs = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })
const offset = fc
  .tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 14 }), fc.integer({ min: 1, max: 59 }))
  .map(([sign, hours, minutes]) => `${sign}${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`)
const zone = fc.constantFrom('Etc/UTC', 'Asia/Tokyo', 'America/New_York', undefined)

const number = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt().filter((big) => !Number.isSafeInteger(Number(big))),
  float.map((value) => (Number.isInteger(value) ? new RubyFloat(value) : value)),
)

const time = fc
  .tuple(epochMs, nanoseconds, fc.oneof(offset, fc.constantFrom('Z', '+00:00')), zone)
  .chain(([ms, ns, zoneOffset, timeZone]) =>
    fc.constantFrom(
      new RubyTime(ms, { nanoseconds: ns, offset: zoneOffset }),
      new RubyDateTime(ms, { nanoseconds: ns, offset: zoneOffset }),
      new RubyTimeWithZone(ms, { nanoseconds: ns, offset: zoneOffset, timeZone }),
    ),
  )

const duration = fc
  .tuple(number, fc.array(fc.tuple(fc.constantFrom('days', 'hours', 'seconds'), number)))
  .map(([value, parts]) => new RubyDuration(value, parts))

const rubyValue = fc.oneof(
  number,
  text,
  symbol,
  time,
  duration,
  fc.constantFrom(null, true, false, new RubyConstant('Blog::Post')),
  fc
    .tuple(fc.integer({ min: -4712, max: 12_000 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }))
    .filter(([year]) => year !== 1582)
    .map(([year, month, day]) => new RubyDate(year, month, day)),
  fc.stringMatching(/^-?\d{1,40}(\.\d{1,40})?$/).map((digits) => new RubyBigDecimal(digits)),
  fc
    .array(
      text.filter((id) => id.trim() !== ''),
      { minLength: 1, maxLength: 3 },
    )
    .map((ids) => new GlobalID('shop', 'Person', ids.length === 1 ? (ids[0] ?? '') : ids)),
  fc
    .tuple(fc.option(number), fc.option(number), fc.boolean())
    .map(([begin, end, excludeEnd]) => new RubyRange(begin, end, excludeEnd)),
)

const hash = (value: fc.Arbitrary<unknown>) =>
  fc.oneof(
    fc.dictionary(key, value),
    // Strings and symbols mixed, of one name at most one.
    fc
      .uniqueArray(fc.tuple(key, fc.boolean(), value), { selector: ([name]) => name })
      .map(
        (entries) =>
          new Map(entries.map(([name, isSymbol, element]) => [isSymbol ? RubySymbol.for(name) : name, element])),
      ),
  )

const { argument } = fc.letrec((tie) => ({
  argument: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    rubyValue,
    fc.array(tie('argument'), { maxLength: 4 }),
    hash(tie('argument')),
  ),
}))

const args = fc
  .tuple(fc.array(argument, { maxLength: 5 }), fc.option(fc.dictionary(key, rubyValue)))
  .map(([positional, named]) => (named ? [...positional, kwargs(named)] : positional))

describe('any arguments', () => {
  test('come back as a wire form that encodes to the same JSON [AJ-017] [AJ-018] [AJ-019] [AJ-027] [AJ-028] [AJ-034] [AJ-037] [AJ-039]', () => {
    fc.assert(
      fc.property(
        args,
        fc.constantFrom('string', 'symbol', 'indifferent'),
        fc.constantFrom('object', 'map'),
        (list, hashKeys, hashes) => {
          const json = stringifyJson(serializeArguments(list, { hashKeys }))
          const read = deserializeArguments(parseJson(json) as JsonValue[], { hashes })
          expect(canonical(serializeArguments(read))).toEqual(canonical(parseJson(json)))
        },
      ),
      { numRuns: 500 },
    )
  })

  test('survive inside a job hash with unknown keys [AJ-004]', () => {
    fc.assert(
      fc.property(args, fc.dictionary(key, fc.array(number)), (list, extra) => {
        const serializedArguments = serializeArguments(list)
        const written = stringifyJobData({ ...parseJobData('{"job_class":"A"}'), serializedArguments, extra })
        const read = parseJobData(written)
        expect(canonical(read.serializedArguments)).toEqual(canonical(serializedArguments))
        expect(canonical(parseJson(stringifyJobData(read)))).toEqual(canonical(parseJson(written)))
      }),
    )
  })

  test('nothing that JSON can say makes reading throw anything but a DeserializationError', () => {
    const reserved = fc.constantFrom(
      '_aj_globalid',
      '_aj_serialized',
      '_aj_symbol_keys',
      '_aj_ruby2_keywords',
      '_aj_hash_with_indifferent_access',
      'value',
      'parts',
      'begin',
      'end',
      'time_zone',
    )
    const name = fc.constantFrom(
      ...['Time', 'Date', 'DateTime', 'TimeWithZone', 'Duration', 'Range', 'Symbol', 'Module', 'BigDecimal'].map(
        (kind) => `ActiveJob::Serializers::${kind}Serializer`,
      ),
    )
    const { wire } = fc.letrec((tie) => ({
      wire: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, false),
        number,
        text,
        name,
        fc.array(tie('wire'), { maxLength: 3 }),
        fc.dictionary(fc.oneof(reserved, key), tie('wire'), { maxKeys: 4 }),
      ),
    }))
    fc.assert(
      fc.property(wire, (value) => {
        const json = stringifyJson([value as JsonValue])
        try {
          const read = deserializeArguments(parseJson(json) as JsonValue[])
          expect(read).toHaveLength(1)
        } catch (error) {
          expect(error).toMatchObject({ name: 'DeserializationError' })
        }
      }),
      { numRuns: 2_000 },
    )
  })
})

test('arguments nested 1,000 deep survive', () => {
  const json = `[${'{"a":[1.0,'.repeat(500)}null${'],"_aj_symbol_keys":["a"]}'.repeat(500)}]`
  expect(stringifyJson(serializeArguments(deserializeArguments(parseJson(json) as JsonValue[])))).toBe(json)
})
