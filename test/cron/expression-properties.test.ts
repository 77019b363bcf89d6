import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type CronExpression, parseCron } from '../../src/cron/expression/cron-expression.ts'
import { ConfigurationError } from '../../src/errors.ts'

const between = (min: number, max: number) => fc.integer({ min, max }).map(String)

/** A field: `*`, a number, a range, a step, or a list of them. */
const field = (low: number, high: number, ...more: fc.Arbitrary<string>[]): fc.Arbitrary<string> => {
  const bound = between(low, high)
  const range = fc.tuple(bound, bound).map((ends) => ends.join('-'))
  const step = fc.tuple(fc.oneof(range, fc.constant('*'), bound), between(1, 20)).map((parts) => parts.join('/'))
  const list = fc.array(fc.oneof(bound, range), { minLength: 2, maxLength: 4 }).map((members) => members.join())
  return fc.oneof(fc.constant('*'), fc.constant('*'), bound, range, step, list, ...more)
}

const day = field(1, 31, fc.constantFrom('L', '-1', '-3', '1&'))
const weekday = field(0, 7, fc.constantFrom('fri#2', 'mon#-1', 'tue%2', 'sun%3+1'))
const fields = fc
  .tuple(fc.option(field(0, 59), { nil: '0' }), field(0, 59), field(0, 24), day, field(1, 12), weekday)
  .map((values) => values.join(' '))

const zone = fc.constantFrom(
  ...['UTC', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'America/Havana', 'Asia/Kathmandu', '-03:30'],
)

/** Any millisecond of 50 years, and often one near a change of the clocks. */
const instant = fc.oneof(
  fc.integer({ min: Date.UTC(1995, 0), max: Date.UTC(2045, 0) }),
  fc
    .tuple(
      fc.constantFrom(Date.UTC(2026, 10, 1, 5), Date.UTC(2026, 2, 29, 1), Date.UTC(2026, 3, 4, 15)),
      fc.nat(172_800_000),
    )
    .map(([change, ms]) => change - 86_400_000 + ms),
)

/** undefined if the expression is refused, which an impossible date is. */
const parsed = (text: string, zone: string): CronExpression | undefined => {
  try {
    return parseCron(text, { zone })
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError)
    return undefined
  }
}

const times = (dates: Iterable<Date>): number[] => [...dates].map((date) => date.getTime())

test('an occurrence is a whole second later than the start, and the next one is later again', () => {
  fc.assert(
    fc.property(fields, zone, instant, (text, zone, start) => {
      const occurrences = times(parsed(text, zone)?.upcoming(new Date(start), 4) ?? [])
      const all = [start, ...occurrences]
      expect(all.slice(1).every((at, index) => at > (all[index] ?? at))).toBe(true)
      expect(occurrences.filter((at) => at % 1000 !== 0)).toEqual([])
    }),
    { numRuns: 400 },
  )
})

test('an occurrence has the second, minute, hour and month of the fields, in the zone', () => {
  const times = fc.tuple(between(0, 59), between(0, 59), between(0, 23), between(1, 12))
  const named = fc.constantFrom('UTC', 'America/New_York', 'Europe/Berlin', 'Asia/Kathmandu')
  fc.assert(
    fc.property(times, named, instant, ([second, minute, hour, month], timeZone, start) => {
      const at = parseCron(`${second} ${minute} ${hour} * ${month} *`, { zone: timeZone }).next(new Date(start))
      const format = {
        timeZone,
        hourCycle: 'h23',
        month: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      }
      const parts = new Intl.DateTimeFormat('en', format as Intl.DateTimeFormatOptions).formatToParts(at)
      const shown = (type: string) => String(Number(parts.find((part) => part.type === type)?.value))
      expect(['second', 'minute', 'hour', 'month'].map(shown)).toEqual([second, minute, hour, month])
    }),
    { numRuns: 200 },
  )
})

test('within() has what repeated next() has between its ends, neither of which belongs to it', () => {
  fc.assert(
    fc.property(fields, zone, instant, fc.nat(5), (text, zone, start, count) => {
      const cron = parsed(text, zone)
      const all = cron?.upcoming(new Date(start), count + 1) ?? []
      const end = all.at(-1)
      if (cron === undefined || end === undefined) return
      expect(times(cron.within(new Date(start), end))).toEqual(times(all.slice(0, -1)))
      expect(times(cron.within(new Date(start), new Date(end.getTime() + 1)))).toEqual(times(all))
    }),
    { numRuns: 200 },
  )
})

test('what is parsed never throws, and what is not parsed is refused with a ConfigurationError', () => {
  const word = fc.constantFrom(
    ...[
      'every',
      'at',
      'on',
      'from',
      'to',
      'and',
      'day',
      '5',
      '5pm',
      'noon',
      'monday',
      '1st',
      'of the month',
      'minutes',
    ],
    ...['hour', 'in', 'Europe/Berlin', '*/5', '*', '0', '9', '1-5', 'L', '~', '@daily', '9:30', 'UTC', 'five', ','],
  )
  const phrase = fc.array(word, { maxLength: 7 }).map((words) => words.join(' '))
  fc.assert(
    fc.property(fc.oneof(phrase, fields, fc.string()), zone, instant, (text, zone, start) => {
      parsed(text, zone)?.upcoming(new Date(start), 2)
    }),
    { numRuns: 600 },
  )
})

test.each([new Date(Number.NaN), new Date(8.64e15), new Date(-8.64e15), new Date(0)])(
  'no start throws: %s',
  (start) => {
    const at = parseCron('0 0 * * *', { zone: 'Europe/Berlin' }).next(start)
    expect(at === undefined || at > start).toBe(true)
  },
)

test('a leap day on a Monday is found 28 years ahead, in milliseconds', () => {
  const cron = parseCron('0 0 29& 2 1', { zone: 'America/New_York' })
  const started = performance.now()
  const at = cron.next(new Date('2025-01-01T00:00:00Z'))
  const fresh = performance.now() - started
  expect(at?.toISOString()).toBe('2044-02-29T05:00:00.000Z')
  expect(fresh).toBeLessThan(500)
})
