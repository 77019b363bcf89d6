import { afterEach, describe, expect, test, vi } from 'vitest'
import { parseCron } from '../../src/cron/expression/cron-expression.ts'
import { ConfigurationError } from '../../src/errors.ts'

const FIVE_FIELDS = 'Write five fields (minute, hour, day of the month, month, weekday), such as "0 9 * * 1-5"'
const MONTH_DAY = 'it must be 1 to 31, -1 to -31 (from the end) or L (the last)'
const WEEKDAY = 'it must be 0 to 7 or a name of three letters (mon), with #1 to #5, #-1 to #-5, #L or %2'

const refusal = (text: string, zone = 'UTC'): string => {
  try {
    return `accepted as ${parseCron(text, { zone }).fields}`
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError)
    const { message } = error as ConfigurationError
    expect(message.startsWith(`cron ${JSON.stringify(text)} is refused: `)).toBe(true)
    return message.slice(`cron ${JSON.stringify(text)} is refused: `.length, -1)
  }
}

const cases = (rows: Readonly<Record<string, string>>): void => {
  test.each(Object.entries(rows))('%s', (text, reason) => expect(refusal(text)).toBe(reason))
}

describe('a field that is not one is named, with what it may be', () => {
  cases({
    '60 * * * *': 'the minute is "60", but it must be 0 to 59',
    '60 0 0 * * *': 'the second is "60", but it must be 0 to 59',
    '* 25 * * *': 'the hour is "25", but it must be 0 to 24',
    '* * 32 * *': `the day of the month is "32", but ${MONTH_DAY}`,
    '* * * 13 *': 'the month is "13", but it must be 1 to 12 or a name of three letters (jan)',
    '* * * * 9': `the weekday is "9", but ${WEEKDAY}`,
    '0 0 * * fri#6': `the weekday is "fri#6", but ${WEEKDAY}`,
    '0 0 * january *': 'the month is "january", but it must be 1 to 12 or a name of three letters (jan). Write "jan"',
    '0 0 * * monday-friday': `the weekday is "monday-friday", but ${WEEKDAY}. Write "mon-fri"`,
    '0 0 ? * 1': 'the day of the month is "?". Write "*" for each day of the month',
    '&0 12 13 * 5': 'the minute is "&0", but it must be 0 to 59',
    '*/0 * * * *': 'the step of "*/0" must be at least 1',
    '*/100 * * * *': 'the minute is "*/100", but it must be 0 to 59, with a step of at most two digits',
    '* * * *': `it has 4 fields, not five, or six with seconds first. ${FIVE_FIELDS}`,
    '* * * * * * *': `it has 7 fields, not five, or six with seconds first. ${FIVE_FIELDS}`,
  })
})

describe('what never fires', () => {
  cases({
    '0 0 31 2 *': 'it never fires: month 2 has no day 31',
    '0 0 30,31 2 1': 'it never fires: month 2 has no day 30,31',
    '0 0 -31 2 *': 'it never fires. Write a date that exists',
    '0 0 1& * 1#2': 'it never fires. Write a date that exists',
    '0 0 * * 1%0': '"1%0" never fires: the number of weeks after "%" must be at least 1',
    // The second Sunday of March is the day on which 02:00 does not exist.
    '0 2 8& 3 0 America/New_York': 'it never fires. Write a date that exists',
  })
})

const MIXED = `counts from the end of the month and from its start, on which Ruby's parser fails. Write both ends as negative numbers ("-3--1": the last three days), or list the days`

describe('what raises in Ruby at the start of a worker', () => {
  cases({
    '0 0 L-2 * *': `"L-2" ${MIXED}`,
    '0 0 -5/2 * *': `"-5/2" ${MIXED}`,
    '0 0 * * 1#2,1%2': `"#" and "%" of one weekday, on which Ruby's parser fails. Write two entries`,
    'every 5 minutes at 9': `it joins an interval with an hour, on which Ruby's parser fails. Write the fields: "*/5 9 * * *" is every 5 minutes of that hour`,
    'every day from 9:00 to 17:30': `the times before and after "to" differ in their minutes, on which Ruby's parser fails. Write the fields`,
  })
})

const RANDOM =
  '"~" picks a random value in each process, so several processes would enqueue several jobs. Write a fixed value'

describe('a random value, as each process would have its own', () => {
  cases({
    '0~59 * * * *': RANDOM,
    '0 ~ * * *': RANDOM,
    '0 0 * * mon~fri': RANDOM,
    '0 0 1,10~20 * *': RANDOM,
  })
})

describe('a time zone that does not exist', () => {
  const write = 'Write a name such as "Europe/Berlin", or an offset such as "+05:30"'
  cases({
    '0 0 * * * Mars/Olympus': `there is no time zone "Mars/Olympus". ${write}`,
    '0 0 * * * Europe/berlin': `there is no time zone "Europe/berlin". ${write}`,
    // Intl takes this name, but Ruby does not.
    '0 0 * * * PST': `there is no time zone "PST". ${write}`,
    '0 0 * * * Z': 'there is no time zone "Z". Write "UTC"',
    '0 0 * * * utc': 'there is no time zone "utc". Write "UTC"',
    '0 0 * * * +12:00': `there is no time zone "+12:00". ${write}. An offset must be less than 12 hours, and at a full quarter of an hour`,
    '@daily Europe/Nowhere': `there is no time zone "Europe/Nowhere". ${write}`,
    'every day at noon in Mars/Olympus': `it stands for the fields "0 12 * * * Mars/Olympus": there is no time zone "Mars/Olympus". ${write}`,
  })
})

describe('a phrase that GoodJob does not read; the fields to write are named if they are clear', () => {
  cases({
    'Every Day At Noon': 'it is no phrase that GoodJob reads. Write "0 12 * * *"',
    'EVERY MINUTE': 'it is no phrase that GoodJob reads. Write "* * * * *"',
    daily: 'it is no phrase that GoodJob reads. Write "0 0 * * *"',
    'Daily at noon in Europe/Berlin': 'it is no phrase that GoodJob reads. Write "0 12 * * * Europe/Berlin"',
    'each day': 'it is no phrase that GoodJob reads. Write "0 0 * * *"',
    'every other hour': 'it is no phrase that GoodJob reads. Write "0 */2 * * *"',
    'every blue moon': `it is no phrase that GoodJob reads. ${FIVE_FIELDS}`,
    'every day at 25:00': `it is no phrase that GoodJob reads. ${FIVE_FIELDS}`,
    'every 100 seconds':
      'it stands for the fields "*/100 * * * * *": the second is "*/100", but it must be 0 to 59, with a step of at most two digits',
  })
})

describe('what is no schedule', () => {
  cases({
    '': `it is empty. ${FIVE_FIELDS}`,
    '  ': `it is empty. ${FIVE_FIELDS}`,
    '10': `it is a single number. ${FIVE_FIELDS}`,
    '10m': 'it is a duration. Write "*/10 * * * *"',
    '1h': 'it is a duration. Write "0 * * * *"',
    '2 days': 'it is a duration. Write "0 0 */2 * *"',
    '2026-01-01 00:00:00': 'it is a single instant. Enqueue the job with waitUntil',
    '0 1 * * *, 0 2 * * *': 'it has several expressions. Write an entry for each',
    '@reboot': 'GoodJob enqueues nothing at boot. Enqueue the job where the program starts',
    '@often': 'the names are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @noon and @hourly',
    [`0 0 * * ${'1,'.repeat(150)}2`]: 'it has more than 256 characters',
  })

  test('a value that is no text', () => {
    expect(() => parseCron(5 as unknown as string)).toThrow('cron 5 is refused: it must be a text.')
  })
})

describe('the zone of an expression that names none', () => {
  afterEach(() => vi.unstubAllEnvs())

  const zoneWith = (variable: string | undefined, zone?: string): string => {
    vi.stubEnv('TZ', variable)
    return parseCron('0 0 * * *', zone === undefined ? {} : { zone }).zone
  }

  test('is the option, then the environment variable TZ, then that of the system', () => {
    expect(zoneWith('Asia/Tokyo', 'Europe/Berlin')).toBe('Europe/Berlin')
    expect(zoneWith('Asia/Tokyo')).toBe('Asia/Tokyo')
    expect(zoneWith(':Asia/Tokyo')).toBe('Asia/Tokyo')
    const system = zoneWith(undefined)
    expect(zoneWith('')).toBe(system)
    expect(() => parseCron('0 0 * * *', { zone: system })).not.toThrow()
  })

  test('is refused if there is no such zone', () => {
    const write = 'Write a name such as "Europe/Berlin", or "UTC".'
    expect(() => zoneWith('Mars/Olympus')).toThrow(
      `the environment variable TZ names no time zone: "Mars/Olympus". ${write}`,
    )
    expect(() => zoneWith('UTC', 'nowhere')).toThrow(`there is no time zone "nowhere". ${write}`)
  })

  test('does not count if the expression names its own', () => {
    const { zone, fields } = parseCron('every day at noon in Asia/Kolkata', { zone: 'UTC' })
    expect({ zone, fields }).toEqual({ zone: 'Asia/Kolkata', fields: '0 12 * * * Asia/Kolkata' })
  })
})
