/** A time zone, by the name that an expression or an option gave it. Times are whole seconds since 1970. */
export interface Zone {
  readonly name: string
  /** The seconds by which clocks in this zone are ahead of UTC at `second`. */
  offsetAt(second: number): number
}

const DAY = 86_400
/** Clocks change at a full quarter of an hour of UTC. */
const QUARTER = 900
/** Samples that a zone remembers. A schedule that fires all year needs about 800. */
const MAX_SAMPLES = 20_000

/** A zone of the time zone database. Reading an offset from Intl takes 2 µs, so offsets are remembered. */
class NamedZone implements Zone {
  readonly name: string
  readonly #format: Intl.DateTimeFormat
  readonly #samples = new Map<number, number>()

  constructor(name: string) {
    this.name = name
    this.#format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' })
  }

  offsetAt(second: number): number {
    const day = Math.floor(second / DAY) * DAY
    const offset = this.#sample(day)
    return offset === this.#sample(day + DAY) ? offset : this.#sample(Math.floor(second / QUARTER) * QUARTER)
  }

  #sample(second: number): number {
    const known = this.#samples.get(second)
    if (known !== undefined) return known
    if (this.#samples.size >= MAX_SAMPLES) this.#samples.clear()
    const offset = offsetOf(this.#format.format(second * 1000))
    this.#samples.set(second, offset)
    return offset
  }
}

/** The seconds in the text that Intl writes: "1/1/1970, GMT-05:30", or only "GMT" for zero. */
const offsetOf = (text: string): number => {
  const [, sign, hours, minutes, seconds] = /GMT([+-])(\d+):(\d+)(?::(\d+))?$/.exec(text) ?? []
  const size = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0)
  return sign === '-' ? -size : size
}

const fixedZone = (name: string, offset: number): Zone => ({ name, offsetAt: () => offset })

const OFFSET = /^([+-][0-1]?[0-9]):?([0-5][0-9])?$/

/** et-orbi 1.4.2 zone.rb: an offset of 12 hours or more is none, and "-00:30" is half an hour ahead of UTC. */
const offsetZone = (name: string): Zone | undefined => {
  const [, hourText, minuteText = '0'] = OFFSET.exec(name) ?? []
  const hours = Number(hourText)
  if (hourText === undefined || Math.abs(hours) > 11) return undefined
  const minutes = hours < 0 ? -Number(minuteText) : Number(minuteText)
  return fixedZone(name, hours * 3600 + minutes * 60)
}

/** The database's names of three letters. Intl also accepts older ones, such as PST, that Ruby does not know. */
const SHORT_NAMES = /^(?:CET|EET|EST|GMT|HST|MET|MST|PRC|ROC|ROK|UCT|UTC|WET)$/
const NOT_IN_DATABASE = /^(?:SystemV\/|US\/Pacific-New$|Etc\/Unknown$)/

const isZoneName = (name: string): boolean => {
  if ((/^[A-Za-z]{3}$/.test(name) && !SHORT_NAMES.test(name)) || NOT_IN_DATABASE.test(name)) return false
  // Ruby's names are case-sensitive, those of Intl are not.
  return /^[A-Z]/.test(name) && isSpelled(name)
}

const isSpelled = (name: string): boolean => {
  try {
    const known = new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone
    return known === name || known.toLowerCase() !== name.toLowerCase()
  } catch {
    return false
  }
}

const zones = new Map<string, Zone>()

/** The zone with this name or offset ("Europe/Berlin", "UTC", "+05:30"), or undefined if there is none. */
export const zoneNamed = (name: string): Zone | undefined => {
  const known = zones.get(name)
  if (known !== undefined) return known
  const zone = offsetZone(name) ?? (isZoneName(name) ? new NamedZone(name) : undefined)
  if (zone !== undefined) zones.set(name, zone)
  return zone
}
