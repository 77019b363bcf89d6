import { afterEach, describe, expect, test, vi } from 'vitest'
import { ConfigurationError, SerializationError } from '../../src/errors.ts'
import { deserializeArguments, serializeArguments } from '../../src/serialize/arguments/arguments.ts'
import type { JsonObject } from '../../src/serialize/json.ts'
import { RubyTimeWithZone } from '../../src/serialize/values/ruby-values.ts'

afterEach(() => {
  vi.unstubAllGlobals()
})

// Stand-ins with the few members that are used: Node has no Temporal before version 26.
const temporal = (tag: string, members: object, text = '') =>
  Object.assign(
    new (class {
      get [Symbol.toStringTag]() {
        return `Temporal.${tag}`
      }
      toString() {
        return text
      }
    })(),
    members,
  )

const S = 'ActiveJob::Serializers::'
const fields = (value: unknown) => {
  const [{ _aj_serialized: name, ...rest }] = serializeArguments([value]) as [JsonObject]
  return [String(name).replace(S, ''), rest]
}

const EPOCH_NS = 1_709_210_096_123_456_789n

describe('Temporal values', () => {
  test.each<[string, object, unknown[]]>([
    [
      'Instant',
      temporal('Instant', { epochNanoseconds: EPOCH_NS }),
      ['TimeSerializer', { value: '2024-02-29T12:34:56.123456789Z' }],
    ],
    [
      'an Instant before 1970',
      temporal('Instant', { epochNanoseconds: -1n }),
      ['TimeSerializer', { value: '1969-12-31T23:59:59.999999999Z' }],
    ],
    [
      'ZonedDateTime',
      temporal('ZonedDateTime', { epochNanoseconds: EPOCH_NS, timeZoneId: 'America/New_York', offset: '-05:00' }),
      ['TimeWithZoneSerializer', { value: '2024-02-29T07:34:56.123456789-05:00', time_zone: 'America/New_York' }],
    ],
    [
      'ZonedDateTime in UTC',
      temporal('ZonedDateTime', { epochNanoseconds: EPOCH_NS, timeZoneId: 'UTC', offset: '+00:00' }),
      ['TimeWithZoneSerializer', { value: '2024-02-29T12:34:56.123456789Z', time_zone: 'Etc/UTC' }],
    ],
    [
      'ZonedDateTime in Etc/UTC',
      temporal('ZonedDateTime', { epochNanoseconds: EPOCH_NS, timeZoneId: 'Etc/UTC', offset: '+00:00' }),
      ['TimeWithZoneSerializer', { value: '2024-02-29T12:34:56.123456789Z', time_zone: 'Etc/UTC' }],
    ],
    [
      'ZonedDateTime with a numeric zone',
      temporal('ZonedDateTime', { epochNanoseconds: EPOCH_NS, timeZoneId: '+05:30', offset: '+05:30' }),
      ['TimeSerializer', { value: '2024-02-29T18:04:56.123456789+05:30' }],
    ],
    [
      'ZonedDateTime with seconds in its offset',
      temporal('ZonedDateTime', { epochNanoseconds: 0n, timeZoneId: 'Africa/Monrovia', offset: '-00:44:30' }),
      ['TimeWithZoneSerializer', { value: '1970-01-01T00:00:00.000000000Z', time_zone: 'Africa/Monrovia' }],
    ],
    ['PlainDate', temporal('PlainDate', {}, '2024-02-29'), ['DateSerializer', { value: '2024-02-29' }]],
    [
      'a PlainDate of another calendar',
      temporal('PlainDate', {}, '2024-02-29[u-ca=hebrew]'),
      ['DateSerializer', { value: '2024-02-29' }],
    ],
    [
      'a PlainDate before Christ',
      temporal('PlainDate', {}, '-004712-01-01'),
      ['DateSerializer', { value: '-4712-01-01' }],
    ],
  ])('%s has the form of its Ruby class', (_name, value, expected) => {
    expect(fields(value)).toEqual(expected)
  })

  const amounts = (some: object) => ({
    years: 0,
    months: 0,
    weeks: 0,
    days: 0,
    hours: 0,
    minutes: 0,
    seconds: 0,
    milliseconds: 0,
    microseconds: 0,
    nanoseconds: 0,
    ...some,
  })

  test.each<[object, number, [string, number][]]>([
    [
      { days: 1, hours: 12 },
      129_600,
      [
        ['days', 1],
        ['hours', 12],
      ],
    ],
    [{ seconds: 1, milliseconds: 500 }, 1.5, [['seconds', 1.5]]],
    [{ microseconds: 250, nanoseconds: 500 }, 0.0002505, [['seconds', 0.0002505]]],
    [{}, 0, [['seconds', 0]]],
    [
      { years: 1, months: 1, weeks: 1, minutes: 1 },
      34_791_558,
      [
        ['years', 1],
        ['months', 1],
        ['weeks', 1],
        ['minutes', 1],
      ],
    ],
  ])('a Duration of %j is %d seconds, with parts below a second as a fraction', (some, value, parts) => {
    const [name, rest] = fields(temporal('Duration', amounts(some))) as [
      string,
      { value: number; parts: [JsonObject, number][] },
    ]
    expect([name, rest.value, rest.parts.map(([unit, amount]) => [unit.value, amount])]).toEqual([
      'DurationSerializer',
      value,
      parts,
    ])
  })

  test.each(['PlainDateTime', 'PlainTime', 'PlainYearMonth', 'PlainMonthDay'])(
    '%s has no counterpart in Ruby',
    (tag) => {
      expect(() => serializeArguments([temporal(tag, {})])).toThrow(SerializationError)
    },
  )
})

describe('the option temporal', () => {
  const DATE = { _aj_serialized: `${S}DateSerializer`, value: '2024-02-29' }
  const ZONED = {
    _aj_serialized: `${S}TimeWithZoneSerializer`,
    value: '2024-02-29T07:34:56.123456789-05:00',
    time_zone: 'Eastern Time (US & Canada)',
  }

  test('gives PlainDate and ZonedDateTime', () => {
    vi.stubGlobal('Temporal', {
      PlainDate: { from: (day: object, options: object) => ['PlainDate', day, options] },
      Instant: {
        fromEpochNanoseconds: (ns: bigint) => ({ toZonedDateTimeISO: (zone: string) => ['ZonedDateTime', ns, zone] }),
      },
    })
    expect(deserializeArguments([DATE, ZONED], { temporal: true })).toEqual([
      ['PlainDate', { year: 2024, month: 2, day: 29 }, { overflow: 'reject' }],
      ['ZonedDateTime', EPOCH_NS, 'America/New_York'],
    ])
  })

  test('leaves a TimeWithZone without zone as it is', () => {
    vi.stubGlobal('Temporal', {})
    const { time_zone: _, ...rest } = ZONED
    expect(deserializeArguments([rest], { temporal: true })[0]).toBeInstanceOf(RubyTimeWithZone)
  })

  test('needs a runtime with Temporal', () => {
    vi.stubGlobal('Temporal', undefined)
    expect(() => deserializeArguments([DATE], { temporal: true })).toThrow(ConfigurationError)
  })
})
