import { paddedYear, RubyDate, RubyTime, twoDigits } from './ruby-values.ts'

/** A point in time, parsed from a text. */
export interface TimeParts {
  readonly epochMs: number
  /** The nanoseconds beyond the milliseconds, 0 to 999,999. */
  readonly nanoseconds: number
  readonly offset: string
}

/**
 * `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn` and the offset, always with nine digits; a plain Date is UTC. The caller checks that the time is valid.
 */
export const formatTime = (time: Date): string => {
  if (!(time instanceof RubyTime)) return formatUtc(time, time.getUTCMilliseconds() * 1_000_000)
  if (time.offset === 'Z') return formatUtc(time, time.nanoseconds)
  const local = new Date(time.getTime() + offsetMs(time.offset))
  return `${formatSeconds(local)}.${nineDigits(time.nanoseconds)}${time.offset}`
}

/** The time in UTC with nine fraction digits and `Z`, whatever its offset is. */
export const formatUtc = (time: Date, nanoseconds: number): string =>
  `${formatSeconds(time)}.${nineDigits(nanoseconds)}Z`

/** The UTC fields of a date in whole seconds, without a zone. */
export const formatSeconds = (time: Date): string => {
  const day = `${paddedYear(time.getUTCFullYear())}-${twoDigits(time.getUTCMonth() + 1)}-${twoDigits(time.getUTCDate())}`
  return `${day}T${twoDigits(time.getUTCHours())}:${twoDigits(time.getUTCMinutes())}:${twoDigits(time.getUTCSeconds())}`
}

const nineDigits = (nanoseconds: number): string => String(nanoseconds).padStart(9, '0')

// Ruby 3.1 time.rb Time.xmlschema.
const TIME = /^\s*(-?\d+)-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d(?::?\d\d)?)?\s*$/i

// The form that Rails writes into a job hash; Date.parse reads it ten times as fast.
const USUAL_TIME = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{9}Z$/

/**
 * Reads every text that Ruby's Time.iso8601 accepts: second 60, hour 24 and 30 February roll over, digits beyond the nanosecond are cut
 * off, and a missing zone means the zone of this process. Undefined for any other text and for years that a Date cannot represent.
 */
export const parseTime = (text: string): TimeParts | undefined => {
  if (USUAL_TIME.test(text)) {
    return { epochMs: Date.parse(`${text.slice(0, 23)}Z`), nanoseconds: Number(text.slice(23, 29)), offset: 'Z' }
  }
  const match = TIME.exec(text)
  if (!match) return undefined
  const fields = match.slice(1, 7).map(Number) as Fields
  if (!isTimeOfDay(fields) || fields[1] < 1 || fields[1] > 12 || fields[2] < 1 || fields[2] > 31) return undefined
  return timeParts(fields, match[7], match[8])
}

type Fields = [year: number, month: number, day: number, hour: number, minute: number, second: number]

const isTimeOfDay = ([, , , hour, minute, second]: Fields): boolean =>
  hour <= 24 && minute <= 59 && second <= 60 && (hour < 24 || (minute === 0 && second === 0))

const timeParts = (fields: Fields, fraction = '', zone?: string): TimeParts | undefined => {
  const digits = fraction.slice(0, 9).padEnd(9, '0')
  const milliseconds = Number(digits.slice(0, 3))
  const offset = zone === undefined ? undefined : canonicalOffset(zone)
  const local = offset === undefined ? localTime(fields, milliseconds) : undefined
  const epochMs = local?.getTime() ?? utcTime(fields, milliseconds) - offsetMs(offset ?? 'Z')
  if (Number.isNaN(epochMs)) return undefined
  return { epochMs, nanoseconds: Number(digits.slice(3)), offset: offset ?? localOffset(local ?? new Date(epochMs)) }
}

// Date.UTC reads the years 0 to 99 as 1900 to 1999.
const utcTime = ([year, month, day, hour, minute, second]: Fields, milliseconds: number): number => {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  return date.setUTCHours(hour, minute, second, milliseconds)
}

const localTime = ([year, month, day, hour, minute, second]: Fields, milliseconds: number): Date => {
  const date = new Date(0)
  date.setFullYear(year, month - 1, day)
  date.setHours(hour, minute, second, milliseconds)
  return date
}

const localOffset = (date: Date): string => {
  const minutes = -date.getTimezoneOffset()
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${twoDigits(Math.floor(size / 60))}:${twoDigits(Math.floor(size % 60))}`
}

/** `Z` for UTC (Ruby also means UTC by `-00:00`), else `+hh:mm`. */
const canonicalOffset = (zone: string): string => {
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0')
  return /^z$/i.test(zone) || (zone.startsWith('-') && digits === '0000')
    ? 'Z'
    : `${zone.charAt(0)}${digits.slice(0, 2)}:${digits.slice(2)}`
}

/** Milliseconds east of UTC. */
const offsetMs = (offset: string): number => {
  if (offset === 'Z') return 0
  const minutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(4, 6))
  return (offset.startsWith('-') ? -minutes : minutes) * 60_000
}

// Ruby 3.1 date_parse.c iso8601_ext_datetime and iso8601_bas_datetime, without the forms that mean "this year".
const EXTENDED =
  /^\s*(?:([-+]?\d{2,})-(\d\d)-(\d\d)|([-+]?\d{2,})-(\d{3})|(\d{4}|\d\d)-w(\d\d)-(\d))(?:t(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(z|[-+]\d\d(?::?\d\d)?)?)?\s*$/i
const BASIC =
  /^\s*(?:([-+]?(?:\d{4}|\d\d))(\d\d)(\d\d)|([-+]?(?:\d{4}|\d\d))(\d{3})|(\d{4}|\d\d)w(\d\d)(\d))(?:t?(\d\d)(\d\d)(?:(\d\d)(?:[.,](\d+))?)?(z|[-+]\d\d(?:\d\d)?)?)?\s*$/i

/** Reads every day that Ruby's Date.iso8601 accepts and ignores a time after it. Undefined for any other text. */
export const parseDate = (text: string): RubyDate | undefined => {
  const match = EXTENDED.exec(text) ?? BASIC.exec(text)
  return match ? dayOf(match) : undefined
}

/** Reads every text that Ruby's DateTime.iso8601 accepts; time and zone may be missing (midnight, +00:00). Undefined for any other. */
export const parseDateTime = (text: string): TimeParts | undefined => {
  const match = EXTENDED.exec(text) ?? BASIC.exec(text)
  const day = match && dayOf(match)
  if (!day) return undefined
  const [hour = '0', minute = '0', second = '0', fraction, zone = 'Z'] = match.slice(9)
  const fields: Fields = [day.year, day.month, day.day, Number(hour), Number(minute), Number(second)]
  if (!isTimeOfDay(fields) || isJulianLeapDay(day)) return undefined
  // DateTime has no leap seconds: Ruby reads second 60 as 59.
  fields[5] = Math.min(fields[5], 59)
  return timeParts(fields, fraction, zone)
}

const dayOf = (match: RegExpExecArray): RubyDate | undefined => {
  const [, year, month, day, ordinalYear, ordinal, weekYear, week, weekday] = match
  if (year !== undefined) return civilDay(fullYear(year), Number(month), Number(day))
  if (ordinalYear !== undefined) return ordinalDay(fullYear(ordinalYear), Number(ordinal))
  return weekDay(fullYear(weekYear ?? ''), Number(week), Number(weekday))
}

/** Years of two digits without a sign are 1969 to 2068. */
const fullYear = (text: string): number =>
  /^\d\d$/.test(text) ? Number(text) + (Number(text) >= 69 ? 1900 : 2000) : Number(text)

const civilDay = (year: number, month: number, day: number): RubyDate | undefined => {
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || isCalendarGap(year, month, day))
    return undefined
  return new RubyDate(year, month, day)
}

// Ruby's Date is Julian until 4 October 1582; the ten days after it do not exist.
const isCalendarGap = (year: number, month: number, day: number): boolean =>
  year === 1582 && month === 10 && day > 4 && day < 15

const daysIn = (year: number, month: number): number => {
  if (month === 2) return isLeapYear(year) ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

const isLeapYear = (year: number): boolean => year % 4 === 0 && (year <= 1582 || year % 100 !== 0 || year % 400 === 0)

// A JavaScript Date is Gregorian throughout: 29 February 1500 would become 1 March.
const isJulianLeapDay = ({ year, month, day }: RubyDate): boolean =>
  month === 2 && day === 29 && year % 100 === 0 && year % 400 !== 0

const ordinalDay = (year: number, ordinal: number): RubyDate | undefined => {
  if (ordinal < 1 || ordinal > (isLeapYear(year) ? 366 : 365)) return undefined
  return dayFromEpoch(utcTime([year, 1, ordinal, 0, 0, 0], 0))
}

// ISO week 1 is the week of 4 January; weeks begin on Monday.
const weekDay = (year: number, week: number, weekday: number): RubyDate | undefined => {
  if (week < 1 || week > weeksIn(year) || weekday < 1 || weekday > 7) return undefined
  const fourth = new Date(utcTime([year, 1, 4, 0, 0, 0], 0))
  const monday = 4 - ((fourth.getUTCDay() + 6) % 7)
  return dayFromEpoch(utcTime([year, 1, monday + (week - 1) * 7 + weekday - 1, 0, 0, 0], 0))
}

const weeksIn = (year: number): number => {
  const newYear = new Date(utcTime([year, 1, 1, 0, 0, 0], 0)).getUTCDay()
  return newYear === 4 || (newYear === 3 && isLeapYear(year)) ? 53 : 52
}

const dayFromEpoch = (epochMs: number): RubyDate => {
  const date = new Date(epochMs)
  return new RubyDate(date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate())
}
