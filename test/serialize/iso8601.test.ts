import { afterEach, describe, expect, test, vi } from 'vitest'
import { formatTime, parseDate, parseDateTime, parseTime } from '../../src/serialize/values/iso8601.ts'
import { RubyDateTime, RubyTime, RubyTimeWithZone } from '../../src/serialize/values/ruby-values.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

/** What a text is after reading and writing it again. */
const rewritten = (text: string): string | undefined => {
  const parts = parseTime(text)
  return parts && formatTime(new RubyTime(parts.epochMs, parts))
}

describe('parseTime', () => {
  // Every row was run in Ruby 3.1: Time.iso8601(text).xmlschema(9).
  test.each([
    ['2024-01-02T03:04:05Z', '2024-01-02T03:04:05.000000000Z'],
    ['2024-01-02t03:04:05z', '2024-01-02T03:04:05.000000000Z'],
    ['2024-01-02T03:04:05.6Z', '2024-01-02T03:04:05.600000000Z'],
    ['2024-01-02T03:04:05.678Z', '2024-01-02T03:04:05.678000000Z'],
    ['2024-01-02T03:04:05.123456789Z', '2024-01-02T03:04:05.123456789Z'],
    ['2024-01-02T03:04:05.000000001+05:30', '2024-01-02T03:04:05.000000001+05:30'],
    ['2024-01-02T03:04:05+02:00', '2024-01-02T03:04:05.000000000+02:00'],
    ['2024-01-02T03:04:05+0200', '2024-01-02T03:04:05.000000000+02:00'],
    ['2024-01-02T03:04:05+02', '2024-01-02T03:04:05.000000000+02:00'],
    ['2024-01-02T03:04:05-00:30', '2024-01-02T03:04:05.000000000-00:30'],
    ['2024-01-02T03:04:05+00:00', '2024-01-02T03:04:05.000000000+00:00'],
    ['2024-01-02T03:04:05+00', '2024-01-02T03:04:05.000000000+00:00'],
    ['2024-01-02T03:04:05-00:00', '2024-01-02T03:04:05.000000000Z'],
    ['2024-01-02T03:04:05-0000', '2024-01-02T03:04:05.000000000Z'],
    ['2024-01-02T03:04:05-00', '2024-01-02T03:04:05.000000000Z'],
    ['\t2024-01-02T03:04:05Z\n', '2024-01-02T03:04:05.000000000Z'],
    ['2024-01-02T24:00:00Z', '2024-01-03T00:00:00.000000000Z'],
    ['2024-01-02T23:59:60+02:00', '2024-01-03T00:00:00.000000000+02:00'],
    ['2024-02-30T00:00:00+02:00', '2024-03-01T00:00:00.000000000+02:00'],
    ['2024-04-31T00:00:00Z', '2024-05-01T00:00:00.000000000Z'],
    ['24-01-02T03:04:05Z', '0024-01-02T03:04:05.000000000Z'],
    ['-4712-01-01T00:00:00Z', '-4712-01-01T00:00:00.000000000Z'],
    ['12024-01-02T03:04:05Z', '12024-01-02T03:04:05.000000000Z'],
    ['1969-12-31T23:59:59.999999999Z', '1969-12-31T23:59:59.999999999Z'],
    ['2024-12-31T23:00:00.5-02:00', '2024-12-31T23:00:00.500000000-02:00'],
  ])('%s is read as Ruby reads it [AJ-034] [AJ-036]', (text, expected) => {
    expect(rewritten(text)).toBe(expected)
  })

  // Rails never writes a lower-case z, so such text takes the slow path.
  test('the form that Rails writes is read like any other form of the same time', () => {
    for (let month = 1; month <= 12; month++) {
      for (let day = 1; day <= 31; day++) {
        for (const year of ['0000', '0099', '1900', '2024', '9999']) {
          const date = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
          const text = `${date}T23:59:59.123456789`
          expect(parseTime(`${text}Z`), text).toEqual(parseTime(`${text}z`))
        }
      }
    }
  })

  test.each([
    '',
    'garbage',
    '2024-01-02',
    '2024-01-02Z',
    '2024-01-02 03:04:05Z',
    '2024-1-02T03:04:05Z',
    '2024-01-02T03:04Z',
    '2024-01-02T3:04:05Z',
    '+002024-01-02T03:04:05Z',
    '2024-01-02T03:04:05,5Z',
    '2024-01-02T03:04:05.Z',
    '2024-01-02T24:00:01Z',
    '2024-01-02T25:00:00Z',
    '2024-01-02T03:60:05Z',
    '2024-01-02T23:59:61Z',
    '2024-01-00T00:00:00Z',
    '2024-01-32T00:00:00Z',
    '2024-00-02T00:00:00Z',
    '2024-13-02T00:00:00Z',
    '300000-01-01T00:00:00Z',
    '1709210156',
  ])('%j is none [AJ-036]', (text) => {
    expect(parseTime(text)).toBeUndefined()
  })

  test('digits below the nanosecond are cut [AJ-036]', () => {
    expect(rewritten('2024-01-02T03:04:05.6789012345678Z')).toBe('2024-01-02T03:04:05.678901234Z')
  })

  test.each([
    ['UTC', '2024-07-01T12:00:00.000000000+00:00'],
    ['America/St_Johns', '2024-07-01T12:00:00.000000000-02:30'],
    ['Asia/Kolkata', '2024-07-01T12:00:00.000000000+05:30'],
  ])('a missing zone is that of the process: %s', (zone, expected) => {
    vi.stubEnv('TZ', zone)
    expect(rewritten('2024-07-01T12:00:00')).toBe(expected)
  })
})

describe('formatTime', () => {
  test('the classes of Ruby write UTC differently [AJ-034]', () => {
    expect(formatTime(new Date(1))).toBe('1970-01-01T00:00:00.001000000Z')
    expect(formatTime(new RubyTime(1, { nanoseconds: 2 }))).toBe('1970-01-01T00:00:00.001000002Z')
    expect(formatTime(new RubyDateTime(1, { nanoseconds: 2, offset: 'Z' }))).toBe('1970-01-01T00:00:00.001000002+00:00')
    expect(formatTime(new RubyTimeWithZone(1, { offset: '-05:00' }))).toBe('1969-12-31T19:00:00.001000000-05:00')
  })

  test('a changed Date keeps its nanoseconds below the millisecond', () => {
    const time = new RubyTime(0, { nanoseconds: 999_999, offset: '+01:00' })
    time.setUTCFullYear(2024)
    time.setUTCMilliseconds(5)
    expect(time.nanoseconds).toBe(5_999_999)
    expect(formatTime(time)).toBe('2024-01-01T01:00:00.005999999+01:00')
  })
})

describe('parseDate and parseDateTime', () => {
  // Run in Ruby 3.1: Date.iso8601(text).to_s and DateTime.iso8601(text).xmlschema(9).
  test.each([
    ['2024-01-02', '2024-01-02', '2024-01-02T00:00:00.000000000+00:00'],
    [' 2024-01-02 ', '2024-01-02', '2024-01-02T00:00:00.000000000+00:00'],
    ['+2024-01-02', '2024-01-02', '2024-01-02T00:00:00.000000000+00:00'],
    ['20240102', '2024-01-02', '2024-01-02T00:00:00.000000000+00:00'],
    ['240102', '2024-01-02', '2024-01-02T00:00:00.000000000+00:00'],
    ['24-01-02', '2024-01-02', '2024-01-02T00:00:00.000000000+00:00'],
    ['68-01-02', '2068-01-02', '2068-01-02T00:00:00.000000000+00:00'],
    ['69-01-02', '1969-01-02', '1969-01-02T00:00:00.000000000+00:00'],
    ['2024-002', '2024-01-02', '2024-01-02T00:00:00.000000000+00:00'],
    ['2024002', '2024-01-02', '2024-01-02T00:00:00.000000000+00:00'],
    ['2024-366', '2024-12-31', '2024-12-31T00:00:00.000000000+00:00'],
    ['2024-W01-2', '2024-01-02', '2024-01-02T00:00:00.000000000+00:00'],
    ['2024W012', '2024-01-02', '2024-01-02T00:00:00.000000000+00:00'],
    ['2020-W53-7', '2021-01-03', '2021-01-03T00:00:00.000000000+00:00'],
    ['2024-01-02T03:04Z', '2024-01-02', '2024-01-02T03:04:00.000000000+00:00'],
    ['2024-01-02t03:04:05', '2024-01-02', '2024-01-02T03:04:05.000000000+00:00'],
    ['2024-01-02T03:04:05,25Z', '2024-01-02', '2024-01-02T03:04:05.250000000+00:00'],
    ['2024-01-02T03:04:05+0530', '2024-01-02', '2024-01-02T03:04:05.000000000+05:30'],
    ['20240102T030405Z', '2024-01-02', '2024-01-02T03:04:05.000000000+00:00'],
    ['20240102030405', '2024-01-02', '2024-01-02T03:04:05.000000000+00:00'],
    ['2024-01-02T24:00:00Z', '2024-01-02', '2024-01-03T00:00:00.000000000+00:00'],
    ['2024-01-02T23:59:60Z', '2024-01-02', '2024-01-02T23:59:59.000000000+00:00'],
    ['-0001-01-01', '-0001-01-01', '-0001-01-01T00:00:00.000000000+00:00'],
    ['12024-01-01', '12024-01-01', '12024-01-01T00:00:00.000000000+00:00'],
  ])('%j is read as Ruby reads it', (text, date, dateTime) => {
    expect(String(parseDate(text))).toBe(date)
    const parts = parseDateTime(text)
    expect(parts && formatTime(new RubyDateTime(parts.epochMs, parts))).toBe(dateTime)
  })

  test.each([
    '',
    'garbage',
    '1-01-01',
    '2024-02-30',
    '2023-02-29',
    '1900-02-29',
    '2024-13-01',
    '2024-01-00',
    '2023-366',
    '2024-000',
    '2024-W53-1',
    '2024-W01-8',
    '1582-10-10',
    '2024-01-02 03:04:05',
    '2024-01-02T030405',
    '20240102T03:04:05',
  ])('%j is neither', (text) => {
    expect(parseDate(text)).toBeUndefined()
    expect(parseDateTime(text)).toBeUndefined()
  })

  test('a Julian leap day is a date, but no point in the Gregorian time of JavaScript', () => {
    expect(String(parseDate('1500-02-29'))).toBe('1500-02-29')
    expect(parseDateTime('1500-02-29')).toBeUndefined()
  })

  test('an hour that does not exist is a date, but no time', () => {
    expect(String(parseDate('2024-01-02T25:00:00Z'))).toBe('2024-01-02')
    expect(parseDateTime('2024-01-02T25:00:00Z')).toBeUndefined()
  })
})
