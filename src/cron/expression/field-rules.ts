/** What a field may contain. fugit 1.14.0 cron.rb. */
export interface FieldRule {
  readonly name: string
  readonly min: number
  readonly max: number
  /** One element of the field's list. Groups: a, b, tilde, step, only (a step alone); of weekdays day, nth, weeks, offset. */
  readonly element: RegExp
  /** The number that a bound stands for. */
  readonly valueOf: (bound: string) => number
  /** What an operator may write, for messages. */
  readonly allowed: string
}

const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const MONTHS = ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

const element = (bound: string, before = ''): RegExp => {
  const range = `\\*|${bound}?(?<tilde>~)${bound}?|(?<a>${bound})(?:-(?<b>${bound}))?`
  return new RegExp(`${before}/(?<only>\\d\\d?)|(?:${range})(?:/(?<step>\\d\\d?))?`, 'iy')
}

const valueIn =
  (names: readonly string[]) =>
  (bound: string): number => {
    const index = names.indexOf(bound.toLowerCase())
    return index === -1 ? Number(bound) : index
  }

const sixty = { min: 0, max: 59, element: element('(?:[0-5]?\\d)'), valueOf: Number, allowed: '0 to 59' }

export const SECOND: FieldRule = { name: 'second', ...sixty }
export const MINUTE: FieldRule = { name: 'minute', ...sixty }
export const HOUR: FieldRule = {
  name: 'hour',
  min: 0,
  max: 23,
  element: element('(?:2[0-4]|[01]?[0-9])'),
  valueOf: Number,
  allowed: '0 to 24',
}
export const MONTH_DAY: FieldRule = {
  name: 'day of the month',
  min: 1,
  max: 31,
  element: element('(?:-?(?:3[01]|[12][0-9]|0?[1-9])|last|l)'),
  valueOf: (bound) => (/^l/i.test(bound) ? -1 : Number(bound)),
  allowed: '1 to 31, -1 to -31 (from the end) or L (the last)',
}
export const MONTH: FieldRule = {
  name: 'month',
  min: 1,
  max: 12,
  element: element(`(?:1[0-2]|0?[1-9]|${MONTHS.slice(1).join('|')})`),
  valueOf: valueIn(MONTHS),
  allowed: '1 to 12 or a name of three letters (jan)',
}

const weekday = `(?:[0-7]|${WEEKDAYS.join('|')})`
const special = `(?<day>${weekday})(?:#(?<nth>-?[1-5]|last|l)|%(?<weeks>\\d+)(?:\\+(?<offset>\\d+))?)|`

export const WEEKDAY: FieldRule = {
  name: 'weekday',
  min: 0,
  max: 6,
  element: element(weekday, special),
  valueOf: valueIn(WEEKDAYS),
  allowed: '0 to 7 or a name of three letters (mon), with #1 to #5, #-1 to #-5, #L or %2',
}
