import { asList, type Slot, type Value } from './phrase-slot.ts'
import {
  HOUR_WORDS,
  INTERVAL_PATTERN,
  MINUTE_WORDS,
  MONTH_DAY_WORDS,
  POINT_PATTERN,
  WEEKDAY_PATTERN,
  weekdayOf,
  wordPattern,
} from './phrase-words.ts'
import { choice, list, mapped, maybe, pattern, type Rule, Scanner, sequence } from './scanner.ts'

/** The parts of an English phrase in their order, or undefined if fugit 1.14.0 does not read it. nat.rb. */
export const readPhrase = (text: string): Slot[] | undefined => {
  const scanner = new Scanner(text)
  const parts = phrase(scanner)
  return scanner.isAtEnd ? parts?.flat() : undefined
}

/** A word with blanks around it. */
const word = (source: string): Rule<string> => pattern(`[ \\t]*${source}[ \\t]+`, 'i')

const AND = word('and')
const AND_OR = word('(?:and|or)')
const AND_OR_COMMA = pattern('[ \\t]*(?:,[ \\t]*)?(?:(?:and|or)[ \\t]+|,[ \\t]*)', 'i')
const TO = word('to')
const THE = word('the')

const weekday = mapped(pattern(WEEKDAY_PATTERN, 'i'), weekdayOf)
const weekdays: Rule<Slot> = mapped(list(weekday, AND_OR_COMMA), (values) => ({ key: 'weekday', values }))
const monthDayWord = mapped(
  pattern(wordPattern(MONTH_DAY_WORDS.keys()), 'i'),
  (text): Value => MONTH_DAY_WORDS.get(text.toLowerCase()) ?? text,
)
const monthDayWords: Rule<Slot[]> = mapped(list(monthDayWord, AND_OR_COMMA), (days) => days.map(monthDaySlot))
const monthDaySlot = (day: Value): Slot => ({ key: 'monthDay', values: day })

// "on the 1st and the 15th", "on day 2", "on monday", "on minute 5", "on the hour"

const minuteNumber = pattern('[0-5]?[0-9]')
const MINUTE = word('minute')
const onMinutes: Rule<Slot[]> = mapped(
  sequence(MINUTE, list(minuteNumber, sequence(AND_OR_COMMA, maybe(MINUTE)))),
  ([, minutes]) => [{ key: 'hourMinute', values: '*', minutes: minutes.join(','), strong: 1 }],
)

const onDays: Rule<Slot[]> = mapped(
  sequence(word('days?'), list(pattern('3[0-1]|[0-2]?[0-9]'), AND_OR_COMMA)),
  ([, days]) => days.map((day) => monthDaySlot(Number(day))),
)
const onThe: Rule<Slot[]> = mapped(list(sequence(THE, monthDayWords), AND_OR_COMMA), (groups) =>
  groups.flatMap(([, days]) => days),
)
const onTheHour: Rule<Slot[]> = mapped(pattern('[ \\t]*the[ \\t]+(?:hour|minute)[ \\t]*', 'i'), (text) =>
  /hour/i.test(text)
    ? [{ key: 'hourMinute', values: 0, minutes: '*', strong: 0 }]
    : [{ key: 'hourMinute', values: '*', minutes: '*', strong: 1 }],
)
const onWeekdays: Rule<Slot[]> = mapped(weekdays, (slot) => [slot])
const on: Rule<Slot[]> = mapped(
  sequence(word('on'), list(choice(onDays, onWeekdays, onMinutes, onThe, onTheHour), AND)),
  ([, slots]) => slots.flat(),
)

// "in Europe/Paris", "UTC", "+0530"

const zoneName = choice(
  pattern('[A-Z][a-zA-Z0-9+\\-]+(?:/[A-Z][a-zA-Z0-9+\\-_]+){0,2}'),
  pattern('Z|UTC'),
  pattern('[-+](?:[01][0-9]|2[0-4])(?::?(?:00|15|30|45))?'),
)
const zone: Rule<Slot[]> = mapped(sequence(maybe(pattern('(?:in|on)[ \\t]+', 'i')), zoneName), ([, name]) => [
  { key: 'zone', values: name },
])

// "at 5pm", "at five thirty", "at 17:30", "at noon", "at minute 5"

const halfDay = maybe(
  mapped(pattern('[ \\t]*(?:am|AM|pm|PM|[Nn]oon|[Mm]idday|[Mm]idnight)'), (text) => text.trim().toLowerCase()),
)
const hourOf = (hour: number | undefined, half: string | null): number | undefined => {
  if (half === 'midnight' && hour === 12) return 24
  if (half === 'pm' && hour !== undefined && hour < 12) return hour + 12
  return half === 'am' && hour === 12 ? 0 : hour
}
const hourMinute = (hour: number | undefined, minutes: Value): Slot[] => [{ key: 'hourMinute', values: hour, minutes }]

const minuteWord = mapped(
  sequence(pattern('[ \\t]+'), pattern(wordPattern(MINUTE_WORDS.keys()), 'i')),
  ([, text]) => text,
)
const namedHour: Rule<Slot[]> = mapped(
  sequence(
    pattern(wordPattern(HOUR_WORDS.keys()), 'i'),
    maybe(pattern('[ \\t]*dark', 'i')),
    maybe(minuteWord),
    halfDay,
  ),
  ([hour, , minute, half]) =>
    hourMinute(hourOf(HOUR_WORDS.get(hour), half), minute === null ? 0 : (MINUTE_WORDS.get(minute) ?? minute)),
)
const digitalHour: Rule<Slot[]> = mapped(
  sequence(pattern('(?:2[0-4]|[0-1]?[0-9]):(?:[0-5][0-9])'), halfDay),
  ([text, half]) => {
    const [hour, minute] = text.split(':').map(Number)
    return hourMinute(hourOf(hour, half), minute ?? 0)
  },
)
const simpleHour: Rule<Slot[]> = mapped(sequence(pattern('2[0-4]|1[0-9]|[0-9]'), halfDay), ([hour, half]) =>
  hourMinute(hourOf(Number(hour), half), 0),
)
const point: Rule<Slot> = mapped(
  sequence(pattern(`${POINT_PATTERN}[ \\t]+`, 'i'), list(pattern('\\d+'), AND_OR_COMMA)),
  ([unit, counts]) => pointSlot(unit.charAt(0).toLowerCase(), counts.map(Number)),
)
const pointSlot = (unit: string, values: readonly number[]): Slot => {
  if (unit === 'm') return { key: 'hourMinute', values: '*', minutes: values, strong: 1 }
  return { key: unit === 's' ? 'second' : 'hour', values }
}
const atObject: Rule<Slot[]> = choice(namedHour, digitalHour, simpleHour, list(point, AND_OR))
const at: Rule<Slot[]> = mapped(sequence(maybe(word('at')), list(atObject, AND_OR_COMMA)), ([, slots]) => slots.flat())

// "from monday to friday", "1st to 5th", "from 9am to 5pm"

const toWeekday: Rule<Slot> = mapped(
  sequence(weekday, pattern('[ \\t]*-[ \\t]*|[ \\t]+(?:to|through)[ \\t]+', 'i'), weekday),
  ([first, , last]) => ({ key: 'weekday', values: `${first}-${last}` }),
)
const toMonthDay: Rule<Slot> = mapped(
  sequence(maybe(THE), monthDayWord, TO, maybe(THE), monthDayWord),
  ([, first, , , last]) => monthDaySlot(`${first}-${last}`),
)
const toHour: Rule<Slot> = mapped(sequence(atObject, TO, atObject), ([before, , after]) => {
  const [start, end] = [...before, ...after]
  const isEven = asList(start?.minutes).join() === asList(end?.minutes).join()
  const values = `${textOf(start?.values)}-${textOf(end?.values)}`
  return { key: 'hourMinute', values, minutes: 0, strong: 0, ...(!isEven && { fault: UNEVEN }) }
})
const textOf = (values: Slot['values']): string =>
  typeof values === 'object' ? JSON.stringify(values) : `${values ?? ''}`
const UNEVEN =
  'the times before and after "to" differ in their minutes, on which Ruby\'s parser fails. Write the fields'

const from: Rule<Slot[]> = mapped(
  sequence(maybe(word('from')), list(choice(toWeekday, toMonthDay, toHour), AND_OR)),
  ([, slots]) => slots,
)

// "every monday", "every 15th of the month", "every 5 minutes", "every weekday", "every week"

/** Of several parts after one "every" fugit takes the first. */
const first = (rule: Rule<Slot[]>): Rule<Slot[]> => mapped(rule, (slots) => slots.slice(0, 1))
const everyWeekday = first(list(choice(toWeekday, weekdays), AND_OR))
const everyOfTheMonth = first(mapped(sequence(monthDayWords, pattern('[ \\t]+of the month')), ([slots]) => slots))
const offset = mapped(
  sequence(
    pattern('[ \\t]*(?:starting[ \\t]+at|from)[ \\t]+', 'i'),
    pattern('(?:second|minute|hour|day|month)s?[ \\t]+', 'i'),
    pattern('\\d+'),
  ),
  ([, , count]) => Number(count),
)
const everyInterval: Rule<Slot[]> = mapped(
  sequence(maybe(pattern('\\d+')), pattern(`[ \\t]*${INTERVAL_PATTERN}`), maybe(offset)),
  ([count, unit, start]) => [intervalSlot(unit.trim(), count ?? '1', start)],
)
const intervalSlot = (unit: string, count: string, start: number | null): Slot => {
  const values = start !== null ? `${start}/${count}` : count === '1' ? '*' : `*/${count}`
  if (unit === 'M' || unit.startsWith('mon')) return { key: 'month', values }
  if (unit.startsWith('d')) return { key: 'monthDay', values, weak: true }
  if (unit.startsWith('h')) return { key: 'hourMinute', values, minutes: 0, weak: 1 }
  if (unit.startsWith('m')) return { key: 'hourMinute', values: '*', minutes: values, strong: 1 }
  return { key: 'second', values }
}
const everyNamed: Rule<Slot[]> = mapped(pattern('weekday', 'i'), () => [{ key: 'weekday', values: '1-5', weak: true }])
const everyWeekOrYear: Rule<Slot[]> = mapped(pattern('(?:1[ \\t]+)?(?:week|year)'), (text) =>
  text.endsWith('year')
    ? [
        { key: 'month', values: 1, weak: true },
        { key: 'monthDay', values: 1, weak: true },
      ]
    : [{ key: 'weekday', values: 0, weak: true }],
)
const everyObject = choice(everyWeekday, everyOfTheMonth, everyInterval, everyNamed, everyWeekOrYear)
const every: Rule<Slot[]> = mapped(sequence(word('every'), list(everyObject, AND_OR)), ([, slots]) => slots[0] ?? [])

const phrase = list(choice(every, from, at, zone, on), pattern('[ \\t]+|[ \\t]*,[ \\t]*'))
