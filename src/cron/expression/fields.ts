import { type FieldRule, HOUR, MINUTE, MONTH, MONTH_DAY, SECOND, WEEKDAY } from './field-rules.ts'
import { list, pattern, type Rule, Scanner } from './scanner.ts'

/** One element of a field's list, as it is written. */
export interface Element {
  readonly text: string
  /** `a`, `a-b` */
  readonly from?: number
  readonly to?: number
  /** `/n` */
  readonly step?: number
  /** `a~b` */
  readonly isRandom: boolean
  /** `a#n` */
  readonly nth?: number
  /** `a%n+m` */
  readonly modulo?: { readonly weeks: number; readonly offset: number }
}

/** The fields of an expression, as they are written. */
export interface Fields {
  readonly second: readonly Element[] | undefined
  readonly minute: readonly Element[]
  readonly hour: readonly Element[]
  readonly monthDay: readonly Element[]
  readonly month: readonly Element[]
  readonly weekday: readonly Element[]
  readonly hasAnd: boolean
  /** The zone's name or offset. */
  readonly zone: string | undefined
}

/** fugit skips empty members: "1,,2", ",1" and "1 ,". */
const COMMAS = /(?:[ \t]*,)*/y
const SEPARATOR = pattern(',(?:[ \\t]*,)*')
const AND = /&?/y
const BLANKS = /[ \t]+/y
const ZONE_OFFSET = / +([-+](?:[01][0-9]|2[0-4]):?(?:00|15|30|45))/y
const ZONE_NAME = / +([A-Z][a-zA-Z0-9+-]+(?:\/[A-Z][a-zA-Z0-9+\-_]+){0,2})/y

export const CLASSIC_FIELDS: readonly FieldRule[] = [MINUTE, HOUR, MONTH_DAY, MONTH, WEEKDAY]
export const FIELDS_WITH_SECONDS: readonly FieldRule[] = [SECOND, ...CLASSIC_FIELDS]

/** The five or six fields of a text and its zone, or undefined if it has another form. */
export const readFields = (text: string): Fields | undefined =>
  readForm(text, FIELDS_WITH_SECONDS) ?? readForm(text, CLASSIC_FIELDS)

/** Whether a text without blanks is a list of values of a field. */
export const isField = (rule: FieldRule, text: string): boolean => {
  const scanner = new Scanner(text)
  return readField(scanner, rule, true) !== undefined && scanner.isAtEnd
}

const readForm = (text: string, rules: readonly FieldRule[]): Fields | undefined => {
  const scanner = new Scanner(text)
  const lists: Element[][] = []
  for (const [index, rule] of rules.entries()) {
    const elements = readField(scanner, rule, index === rules.length - 1)
    if (elements === undefined) return undefined
    lists.push(elements)
  }
  const zone = (scanner.match(ZONE_OFFSET) ?? scanner.match(ZONE_NAME))?.[1]
  if (!scanner.isAtEnd) return undefined
  const [weekday = [], month = [], monthDay = [], hour = [], minute = [], second] = lists.reverse()
  return { second, minute, hour, monthDay, month, weekday, hasAnd: text.includes('&'), zone }
}

const readField = (scanner: Scanner, rule: FieldRule, isLast: boolean): Element[] | undefined => {
  scanner.match(COMMAS)
  const elements = list(elementOf(rule), SEPARATOR)(scanner)
  scanner.match(COMMAS)
  if (rule === MONTH_DAY || rule === WEEKDAY) scanner.match(AND)
  return isLast || scanner.match(BLANKS) !== undefined ? elements : undefined
}

const elementOf =
  (rule: FieldRule): Rule<Element> =>
  (scanner) => {
    const match = scanner.match(rule.element)
    return match === undefined ? undefined : readElement(rule, match)
  }

const readElement = (rule: FieldRule, { 0: text, groups = {} }: RegExpExecArray): Element => {
  const value = (bound: string | undefined): number | undefined =>
    bound === undefined ? undefined : rule.valueOf(bound)
  const { a, b, day, nth, weeks, offset = 0, only, tilde, step = only } = groups
  return {
    text,
    ...optional('from', value(a ?? day)),
    ...optional('to', value(b)),
    ...optional('step', step === undefined ? undefined : Number(step)),
    ...optional('nth', nth === undefined ? undefined : /^l/i.test(nth) ? -1 : Number(nth)),
    ...optional('modulo', weeks === undefined ? undefined : { weeks: Number(weeks), offset: Number(offset) }),
    isRandom: tilde !== undefined,
  }
}

const optional = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { [P in K]: V })
