import { describe, expect, test } from 'vitest'
import { parseCron } from '../../src/cron/expression/cron-expression.ts'

/** The expression, the instant of the calculation, and the next three instants. All instants are as fugit 1.14.0 calculates them. */
type Row = readonly [cron: string, after: string, ...next: string[]]

const texts = (dates: readonly Date[]): string[] => dates.map((date) => date.toISOString().replace(':00.000Z', 'Z'))

const check =
  (zone: string) =>
  (cron: string, after: string, ...next: string[]): void => {
    expect(texts(parseCron(cron, { zone }).upcoming(new Date(after), next.length))).toEqual(next)
  }

describe('New York', () => {
  test.each<Row>([
    // On 8 March the clocks go from 02:00 to 03:00: 02:30 does not exist, and the day is left out.
    ['30 2 * * *', '2026-03-07T12:00:00Z', '2026-03-09T06:30Z', '2026-03-10T06:30Z', '2026-03-11T06:30Z'],
    ['*/30 * * * *', '2026-03-08T06:00:00Z', '2026-03-08T06:30Z', '2026-03-08T07:00Z', '2026-03-08T07:30Z'],
    // On 1 November they go from 02:00 back to 01:00. A start within the second of the first 01:00 leaves out the second 01:00.
    ['0 * * * *', '2026-11-01T05:00:00Z', '2026-11-01T07:00Z', '2026-11-01T08:00Z', '2026-11-01T09:00Z'],
    ['0 * * * *', '2026-11-01T05:00:00.400Z', '2026-11-01T07:00Z', '2026-11-01T08:00Z', '2026-11-01T09:00Z'],
    ['0 * * * *', '2026-11-01T05:00:01.200Z', '2026-11-01T06:00Z', '2026-11-01T07:00Z', '2026-11-01T08:00Z'],
    ['30 1 * * *', '2026-10-31T12:00:00Z', '2026-11-01T05:30Z', '2026-11-02T06:30Z', '2026-11-03T06:30Z'],
    ['30 1 * * *', '2026-11-01T05:30:01Z', '2026-11-01T06:30Z', '2026-11-02T06:30Z', '2026-11-03T06:30Z'],
  ])('%s after %s', check('America/New_York'))

  test.each<Row>([
    // The rule reads the start in the zone of the process, so a start at the first 01:00 does not count.
    ['0 * * * * America/New_York', '2026-11-01T05:00:00Z', '2026-11-01T06:00Z', '2026-11-01T07:00Z'],
    // But 05:30 in the zone of the process does, and fugit leaves out 05:30 in New York.
    ['30 5 * * * America/New_York', '2026-11-01T05:30:00Z', '2026-11-02T10:30Z', '2026-11-03T10:30Z'],
    ['30 5 * * * America/New_York', '2026-11-01T05:30:01Z', '2026-11-01T10:30Z', '2026-11-02T10:30Z'],
  ])('in a process in UTC: %s after %s', check('UTC'))
})

describe('Berlin', () => {
  test.each<Row>([
    ['30 2 * * *', '2026-03-28T12:00:00Z', '2026-03-30T00:30Z', '2026-03-31T00:30Z', '2026-04-01T00:30Z'],
    ['*/30 * * * *', '2026-03-29T00:00:00Z', '2026-03-29T00:30Z', '2026-03-29T01:00Z', '2026-03-29T01:30Z'],
    ['30 2 * * *', '2026-10-24T12:00:00Z', '2026-10-25T00:30Z', '2026-10-26T01:30Z', '2026-10-27T01:30Z'],
    ['30 2 * * *', '2026-10-25T00:30:01Z', '2026-10-25T01:30Z', '2026-10-26T01:30Z', '2026-10-27T01:30Z'],
    ['*/30 * * * *', '2026-10-24T23:30:00Z', '2026-10-25T00:00Z', '2026-10-25T00:30Z', '2026-10-25T01:00Z'],
    // 31 March 2024 has 23 hours, and fugit takes the 30th for the last day. 31 October 2027 has 25 hours, which does no harm.
    ['0 0 L * *', '2024-03-20T12:00:00Z', '2024-03-29T23:00Z', '2024-04-29T22:00Z', '2024-05-30T22:00Z'],
    ['0 0 -2 * *', '2024-03-20T12:00:00Z', '2024-03-28T23:00Z', '2024-04-28T22:00Z', '2024-05-29T22:00Z'],
    ['0 0 L 10 *', '2027-10-20T12:00:00Z', '2027-10-30T22:00Z', '2028-10-30T23:00Z', '2029-10-30T23:00Z'],
  ])('%s after %s', check('Europe/Berlin'))
})

describe('Lord Howe, where the clocks change by half an hour', () => {
  test.each<Row>([
    ['15 2 * * *', '2026-10-02T12:00:00Z', '2026-10-02T15:45Z', '2026-10-04T15:15Z', '2026-10-05T15:15Z'],
    ['*/15 * * * *', '2026-10-03T15:00:00Z', '2026-10-03T15:15Z', '2026-10-03T15:30Z', '2026-10-03T15:45Z'],
    ['*/15 * * * *', '2026-04-04T14:15:00Z', '2026-04-04T14:30Z', '2026-04-04T14:45Z', '2026-04-04T15:00Z'],
    ['45 1 * * *', '2026-04-03T12:00:00Z', '2026-04-03T14:45Z', '2026-04-04T14:45Z', '2026-04-05T15:15Z'],
    ['45 1 * * *', '2026-04-04T14:45:01Z', '2026-04-04T15:15Z', '2026-04-05T15:15Z', '2026-04-06T15:15Z'],
  ])('%s after %s', check('Australia/Lord_Howe'))
})

describe('Havana, where the clocks change at midnight', () => {
  test.each<Row>([
    ['30 0 * * *', '2026-03-07T12:00:00Z', '2026-03-09T04:30Z', '2026-03-10T04:30Z', '2026-03-11T04:30Z'],
    ['0 0 * * *', '2026-03-07T12:00:00Z', '2026-03-09T04:00Z', '2026-03-10T04:00Z', '2026-03-11T04:00Z'],
    ['0 0 * * *', '2026-10-31T12:00:00Z', '2026-11-01T04:00Z', '2026-11-02T05:00Z', '2026-11-03T05:00Z'],
    ['0 0 * * *', '2026-11-01T04:00:01Z', '2026-11-01T05:00Z', '2026-11-02T05:00Z', '2026-11-03T05:00Z'],
    ['0 0 15 * *', '2026-11-01T04:00:01Z', '2026-11-15T05:00Z', '2026-12-15T05:00Z', '2027-01-15T05:00Z'],
  ])('%s after %s', check('America/Havana'))
})

describe('where Ruby raises, as the clocks change over the first midnight of a month', () => {
  test.each([
    // The clocks go back from 01:00 to 00:00 on 1 November 2026.
    ['America/Havana', '0 0 15 * *', '2026-09-20T12:00:00Z', '2026-11-15T05:00Z'],
    ['America/Havana', '0 0 L 10 *', '2026-10-02T12:00:00Z', '2027-10-31T04:00Z'],
    ['America/Havana', '0 0 * 11 *', '2026-10-20T12:00:00Z', '2026-11-01T05:00Z'],
    // The clocks go from 00:00 to 01:00 on 1 October 2023.
    ['America/Asuncion', '0 1 1 10 *', '2023-09-20T12:00:00Z', '2024-10-01T05:00Z'],
    ['America/Asuncion', '0 12 * 10 *', '2023-09-20T12:00:00Z', '2023-10-01T15:00Z'],
  ])('in %s "%s" after %s skips to the next occurrence that Ruby can calculate', (zone, text, after, next) => {
    const cron = parseCron(text, { zone })
    const { at, isAfterSkip } = cron.find(new Date(after))
    expect({ at: texts(at === undefined ? [] : [at]), isAfterSkip }).toEqual({ at: [next], isAfterSkip: true })
    expect(cron.find(at ?? new Date(after)).at?.getTime()).toBeGreaterThan(at?.getTime() ?? 0)
  })

  test('a calculation that skips nothing says so', () => {
    expect(parseCron('0 0 15 * *', { zone: 'America/Havana' }).find(new Date('2026-05-01')).isAfterSkip).toBe(false)
  })
})
