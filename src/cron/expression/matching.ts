import type { LocalTime, Midnight } from './local-time.ts'
import { midnight } from './local-time.ts'
import type { Schedule, WeekdayRule } from './schedule.ts'

const DAY = 86_400

/** fugit raises at this time: the midnight that its calculation needs does not exist once, as the clocks change over it. */
export class UncertainMidnight extends Error {
  /** The first second after the uncertain midnight from which fugit calculates again. */
  readonly resumeAt: number

  constructor(uncertain: Exclude<Midnight, { kind: 'once' }>) {
    super('a clock change is at midnight')
    this.resumeAt = (uncertain.kind === 'twice' ? uncertain.first : uncertain.change) + 1
  }
}

/**
 * The second at which the search goes on if the schedule does not allow `time`, or undefined if it does. The steps are those of
 * fugit 1.14.0 cron.rb#next_time, because each of them has its own effect at a change of the clocks.
 */
export const nextCandidate = (schedule: Schedule, time: LocalTime): number | undefined => {
  const { months, hours, minutes, seconds } = schedule
  if (months?.includes(time.month) === false) return startOfNextMonth(time)
  if (!isDay(schedule, time)) return startOfNextDay(time)
  if (hours?.includes(time.hours) === false) return time.second + 3600 - (time.ofDay % 3600)
  if (minutes?.includes(time.minutes) === false) return time.second + 60 - time.seconds
  if (seconds?.includes(time.seconds) === false) return nextSecond(seconds, time)
  return undefined
}

const nextSecond = (seconds: readonly number[], time: LocalTime): number => {
  const next = seconds.find((second) => second > time.seconds) ?? 60 + (seconds[0] ?? 0)
  return time.second + next - time.seconds
}

const startOfNextMonth = ({ zone, year, month }: LocalTime): number => {
  const start = midnight(zone, year, month + 1, 1)
  if (start.kind !== 'once') throw new UncertainMidnight(start)
  return start.second
}

/** After 24 hours the clocks show midnight, unless they changed in between. */
const startOfNextDay = (time: LocalTime): number => {
  const next = time.later(DAY - time.ofDay)
  if (next.hours === 0) return next.second
  if (next.hours >= 12) return next.second + (24 - next.hours) * 3600
  const start = midnight(time.zone, next.year, next.month, next.day)
  if (start.kind === 'twice') throw new UncertainMidnight(start)
  return start.kind === 'once' ? start.second : next.second + (24 - next.hours) * 3600
}

const isDay = ({ weekdays, monthDays, needsBothDays }: Schedule, time: LocalTime): boolean => {
  if (weekdays === undefined) return monthDays === undefined || isMonthDay(monthDays, time)
  const isRight = weekdays.some((rule) => isWeekday(rule, time))
  if (monthDays === undefined) return isRight
  return needsBothDays ? isRight && isMonthDay(monthDays, time) : isRight || isMonthDay(monthDays, time)
}

const isWeekday = ({ weekday, nth, modulo }: WeekdayRule, time: LocalTime): boolean => {
  if (weekday !== time.weekday) return false
  if (nth !== undefined) return time.weekdayInMonth.includes(nth)
  return modulo === undefined || remainder(time.week, modulo.weeks) === remainder(modulo.offset, modulo.weeks)
}

const remainder = (value: number, divisor: number): number => ((value % divisor) + divisor) % divisor

/** fugit takes the day 24 hours before the next month for the last day, which is one too early if that day has 23 hours. */
const isMonthDay = (monthDays: readonly number[], time: LocalTime): boolean => {
  const nextMonth = startOfNextMonth(time)
  const last = time.later(nextMonth - time.second - DAY).day
  return monthDays.some((day) => (day < 0 ? last + 1 + day : day) === time.day)
}
