import type { Zone } from './zone.ts'

const DAY = 86_400

/** fugit counts the weeks of `mon%2` from this Monday. et-orbi 1.4.2 time.rb. */
const REFERENCE_MONDAY = Date.UTC(2018, 11, 31) / 1000

/** A whole second, as clocks and calendars in a zone show it. */
export class LocalTime {
  readonly zone: Zone
  /** Seconds since 1970. */
  readonly second: number
  /** Seconds by which the zone's clocks are ahead of UTC. */
  readonly offset: number
  /** Seconds since 1970 on the zone's clocks: two times with the same date and time of day have the same number. */
  readonly wall: number
  readonly #date: Date

  constructor(zone: Zone, second: number) {
    this.zone = zone
    this.second = second
    this.offset = zone.offsetAt(second)
    this.wall = second + this.offset
    this.#date = new Date(this.wall * 1000)
  }

  get seconds(): number {
    return this.#date.getUTCSeconds()
  }

  get minutes(): number {
    return this.#date.getUTCMinutes()
  }

  get hours(): number {
    return this.#date.getUTCHours()
  }

  get day(): number {
    return this.#date.getUTCDate()
  }

  /** 1 to 12. */
  get month(): number {
    return this.#date.getUTCMonth() + 1
  }

  get year(): number {
    return this.#date.getUTCFullYear()
  }

  /** 0 is Sunday. */
  get weekday(): number {
    return this.#date.getUTCDay()
  }

  /** Seconds since midnight, by the clock. */
  get ofDay(): number {
    return this.wall - Math.floor(this.wall / DAY) * DAY
  }

  /** The weeks since Monday, 2018-12-31. */
  get week(): number {
    return Math.floor((this.wall - REFERENCE_MONDAY) / (7 * DAY))
  }

  /** The how-manieth of its weekdays this day is in its month: from the start (1 to 5) and from the end (-1 to -5). */
  get weekdayInMonth(): readonly [number, number] {
    const days = new Date(Date.UTC(this.year, this.month, 0)).getUTCDate()
    return [Math.ceil(this.day / 7), -Math.floor((days - this.day) / 7) - 1]
  }

  /** The same zone, `seconds` later. */
  later(seconds: number): LocalTime {
    return new LocalTime(this.zone, this.second + seconds)
  }
}

/** The instants at which a zone's clocks show a midnight: one; two if the clocks are set back over it; or none if they are set forward. */
export type Midnight =
  | { readonly kind: 'once'; readonly second: number }
  | { readonly kind: 'twice'; readonly first: number }
  | { readonly kind: 'never'; readonly change: number }

/** Midnight at the start of a day. `month` is 1 to 12, 13 is January of the next year. */
export const midnight = (zone: Zone, year: number, month: number, day: number): Midnight => {
  const wall = Date.UTC(year, month - 1, day) / 1000
  const [before, after] = [zone.offsetAt(wall - DAY), zone.offsetAt(wall + DAY)]
  const seconds = [...new Set([wall - before, wall - after])].filter(
    (second) => second + zone.offsetAt(second) === wall,
  )
  const [first] = seconds
  if (first === undefined) return { kind: 'never', change: changeAfter(zone, wall - after) }
  return seconds.length === 1 ? { kind: 'once', second: first } : { kind: 'twice', first: Math.min(...seconds) }
}

/** Clocks change at a full quarter of an hour. */
const QUARTER = 900

const changeAfter = (zone: Zone, second: number): number => {
  const offset = zone.offsetAt(second)
  let change = Math.ceil(second / QUARTER) * QUARTER
  while (zone.offsetAt(change) === offset) change += QUARTER
  return change
}
