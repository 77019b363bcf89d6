import { type FieldRule, HOUR, MINUTE, MONTH, MONTH_DAY, SECOND } from './field-rules.ts'
import type { Element, Fields } from './fields.ts'
import type { Refuse, Schedule, WeekdayRule } from './schedule.ts'

/** The schedule that fields stand for. fugit 1.14.0 cron.rb#init. */
export const scheduleOf = (fields: Fields, refuse: Refuse): Schedule => {
  for (const list of [fields.second, fields.minute, fields.hour, fields.monthDay, fields.month, fields.weekday]) {
    for (const element of list ?? []) if (element.isRandom) refuse(RANDOM)
  }
  const read = (rule: FieldRule, list: readonly Element[]) => valuesOf(rule, list, refuse)
  const seconds = fields.second === undefined ? [0] : read(SECOND, fields.second)
  const [minutes, hours] = [read(MINUTE, fields.minute), read(HOUR, fields.hour)]
  const days = existingDays(read(MONTH_DAY, fields.monthDay), read(MONTH, fields.month), refuse)
  return {
    seconds,
    minutes,
    hours,
    ...days,
    weekdays: weekdaysOf(fields.weekday, refuse),
    needsBothDays: fields.hasAnd,
  }
}

const RANDOM =
  '"~" picks a random value in each process, so several processes would enqueue several jobs. Write a fixed value'

/** The values of a field in order, or undefined if it allows each. */
const valuesOf = (rule: FieldRule, list: readonly Element[], refuse: Refuse): readonly number[] | undefined => {
  const values = list.map((element) => elementValues(rule, element, refuse))
  if (values.includes(undefined)) return undefined
  const numbers = values.flatMap((each) => each ?? []).map((value) => (rule === HOUR && value === 24 ? 0 : value))
  return [...new Set(numbers)].sort((a, b) => a - b)
}

const elementValues = (rule: FieldRule, element: Element, refuse: Refuse): readonly number[] | undefined => {
  const { from = rule.min, step } = element
  if (step !== undefined && step < 1) refuse(`the step of "${element.text}" must be at least 1`)
  if (step === undefined && element.to === undefined) return element.from === undefined ? undefined : [from]
  const to = element.to ?? rule.max
  const last = to < 0 && from > 0 ? rule.max : to
  if (from === rule.min && last === rule.max && (step ?? 1) === 1) return undefined
  if (from < 0 && last > 0) refuse(mixedBounds(element))
  return range(rule, from, last).filter((_, index) => index % (step ?? 1) === 0)
}

const mixedBounds = ({ text }: Element): string =>
  `"${text}" counts from the end of the month and from its start, on which Ruby's parser fails. ` +
  'Write both ends as negative numbers ("-3--1": the last three days), or list the days'

/** All values from `from` until `to`, which may be past the end of the field: 22-2 are the hours 22, 23, 0, 1, 2. */
const range = ({ min, max }: FieldRule, from: number, to: number): number[] => {
  const [lowest, highest] = from < 0 ? [-max, -1] : [min, max]
  const values = [from]
  for (let value = from, end = to; value !== end; values.push(value)) {
    value += 1
    if (value <= highest) continue
    value = lowest
    if (end > highest) end -= highest + 1
  }
  return values
}

/** The longest month of each number. */
const LONGEST = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Drops months that have none of the days and days that are in none of the months. */
const existingDays = (
  monthDays: readonly number[] | undefined,
  months: readonly number[] | undefined,
  refuse: Refuse,
): Pick<Schedule, 'monthDays' | 'months'> => {
  if (monthDays === undefined || months === undefined) return { monthDays, months }
  const exists = (month: number, day: number): boolean => day <= (LONGEST[month] ?? 0)
  const kept = {
    months: months.filter((month) => monthDays.some((day) => exists(month, day))),
    monthDays: monthDays.filter((day) => months.some((month) => exists(month, day))),
  }
  if (kept.months.length === 0) refuse(`it never fires: month ${months.join(',')} has no day ${monthDays.join(',')}`)
  return kept
}

const weekdaysOf = (list: readonly Element[], refuse: Refuse): readonly WeekdayRule[] | undefined => {
  const rules = list.flatMap((element) => weekdayRules(element, refuse))
  if (rules.length === 0) return undefined
  const mixed = rules.find(
    ({ weekday, nth }) =>
      nth !== undefined && rules.some((rule) => rule.weekday === weekday && rule.modulo !== undefined),
  )
  if (mixed) refuse(`"#" and "%" of one weekday, on which Ruby's parser fails. Write two entries`)
  return rules
}

/** fugit 1.14.0 cron.rb#determine_weekdays: unlike in other fields "1/2" is Monday only, and "*" beside others is ignored. */
const weekdayRules = (element: Element, refuse: Refuse): WeekdayRule[] => {
  const { from, nth, modulo, step } = element
  if (nth !== undefined && from !== undefined) return [{ weekday: from % 7, nth }]
  if (modulo !== undefined && from !== undefined) {
    if (modulo.weeks < 1) refuse(`"${element.text}" never fires: the number of weeks after "%" must be at least 1`)
    return [{ weekday: from % 7, modulo }]
  }
  if (from === undefined && step === undefined) return []
  const first = from ?? 0
  const until = element.to ?? from ?? 6
  const last = first > until ? until + 7 : until
  const days: WeekdayRule[] = []
  for (let day = first; day <= last; day += Math.max(step ?? 1, 1)) days.push({ weekday: day % 7 })
  return days
}
