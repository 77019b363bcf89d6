/** One question to fugit: an expression, read in a process with this zone, and the instants after which it is calculated. */
export interface CronCase {
  readonly cron: string
  readonly zone: string
  /** Seconds since 1970. */
  readonly instants: readonly number[]
}

/** `count` random cases; the same seed gives the same cases. */
export const cronCases = (count: number, seed: number): CronCase[] => {
  const random = new Random(seed)
  return Array.from({ length: count }, () => ({
    cron: random.chance(0.6) ? fieldsText(random) : phraseText(random),
    zone: random.of(ZONES),
    instants: Array.from({ length: 4 }, () => instant(random)),
  }))
}

/** A small generator of random numbers with a seed (mulberry32). */
class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }

  chance(part: number): boolean {
    return this.#next() < part
  }

  /** A whole number from `low` to `high`. */
  between(low: number, high: number): number {
    return low + Math.floor(this.#next() * (high - low + 1))
  }

  of<T>(values: readonly T[]): T {
    return values[this.between(0, values.length - 1)] as T
  }
}

/** Zones whose clocks change in different ways: at midnight, by half an hour, in the other hemisphere, or not at all. */
const ZONES = [
  ...['UTC', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'America/Havana', 'America/Santiago'],
  ...['Asia/Kolkata', 'Africa/Casablanca', 'Asia/Beirut', 'Pacific/Chatham', 'America/Asuncion', 'Europe/Dublin'],
]

/** Changes of the clocks in those zones. */
const CHANGES = [
  ...['2026-03-08T07:00Z', '2026-11-01T06:00Z', '2026-03-29T01:00Z', '2026-10-25T01:00Z', '2026-03-08T05:00Z'],
  ...['2026-11-01T05:00Z', '2026-04-04T15:00Z', '2026-10-03T15:30Z', '2026-04-05T03:00Z', '2026-09-06T04:00Z'],
  ...['2026-02-15T02:00Z', '2026-03-22T02:00Z', '2026-03-28T22:00Z', '2026-10-24T21:00Z', '2023-10-01T04:00Z'],
  ...['2024-03-31T01:00Z', '2024-10-27T01:00Z', '2026-10-31T12:00Z', '2026-03-31T12:00Z', '2024-02-28T23:59Z'],
].map((text) => Date.parse(text) / 1000)

const instant = (random: Random): number => {
  if (random.chance(0.3)) return random.between(Date.UTC(2022, 0) / 1000, Date.UTC(2032, 0) / 1000)
  const change = random.of(CHANGES)
  // Many expressions fire at full quarters of an hour, and the rule for clocks that are set back is about equal seconds.
  if (random.chance(0.6)) return change + 900 * random.between(-100, 100)
  return change + random.between(-90_000, 90_000)
}

const number = (low: number, high: number) => (random: Random) =>
  `${random.chance(0.05) ? '0' : ''}${random.between(low, random.chance(0.02) ? high + 2 : high)}`

const named =
  (low: number, high: number, names: readonly string[]) =>
  (random: Random): string =>
    random.chance(0.2) ? random.of(names) : number(low, high)(random)

type Bound = (random: Random) => string

const minute = number(0, 59)
const hour = number(0, 24)
const day: Bound = (random) =>
  random.chance(0.2) ? random.of(['L', 'l', 'last', '-1', '-2', '-15', '-31']) : number(1, 31)(random)
const month = named(1, 12, ['jan', 'FEB', 'mar', 'Apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec', 'june'])
const weekday = named(0, 7, ['sun', 'MON', 'tue', 'Wed', 'thu', 'fri', 'sat', 'monday'])

const field = (random: Random, bound: Bound, star: number): string => {
  if (random.chance(star)) return random.chance(0.8) ? '*' : `*/${random.between(random.chance(0.05) ? 0 : 1, 40)}`
  const members = Array.from({ length: random.chance(0.7) ? 1 : random.between(2, 4) }, () => member(random, bound))
  const comma = random.chance(0.05) ? random.of([',,', ' ,', ', ', ',']) : ','
  return members.join(comma)
}

const member = (random: Random, bound: Bound): string => {
  const step = random.chance(0.15) ? `/${random.between(1, 12)}` : ''
  if (random.chance(0.3)) return `${bound(random)}-${bound(random)}${step}`
  if (random.chance(0.02)) return random.of(['/5', '?', '*', '/0', '1-'])
  return `${bound(random)}${step}`
}

const weekdayField = (random: Random): string => {
  if (random.chance(0.2))
    return `${weekday(random)}#${random.of(['1', '2', '3', '4', '5', '-1', '-2', 'L', 'last', '6'])}`
  if (random.chance(0.15)) return `${weekday(random)}%${random.between(1, 4)}${random.of(['', '+1', '+2', '+7'])}`
  if (random.chance(0.05)) return `${weekday(random)}#${random.between(1, 5)},${weekday(random)}%2`
  return field(random, weekday, 0.6)
}

const zoneText = (random: Random): string => {
  if (random.chance(0.75)) return ''
  const names = [
    '+09:00',
    '-0330',
    '+12:00',
    '-00:30',
    'utc',
    'Z',
    'Mars/Olympus',
    'EST',
    'CET',
    'EST5EDT',
    'Etc/GMT+5',
    'PST',
  ]
  return ` ${random.chance(0.7) ? random.of(ZONES) : random.of(names)}`
}

const fieldsText = (random: Random): string => {
  if (random.chance(0.03))
    return `${random.of(['@daily', '@weekly', '@noon', '@reboot', '@hourly', '@yearly'])}${zoneText(random)}`
  const and = random.chance(0.08) ? '&' : ''
  const fields = [
    ...(random.chance(0.15) ? [field(random, minute, 0.4)] : []),
    field(random, minute, 0.25),
    field(random, hour, 0.4),
    field(random, day, 0.55) + and,
    field(random, month, 0.7),
    weekdayField(random) + (random.chance(0.04) ? '&' : ''),
  ]
  return fields.join(random.chance(0.03) ? '  ' : ' ') + zoneText(random)
}

const time = (random: Random): string =>
  random.of([
    () => `${random.between(0, 24)}`,
    () => `${random.between(1, 12)}${random.of(['am', 'pm', ' pm', 'PM', ' noon', ' midnight'])}`,
    () =>
      `${random.between(0, 24)}:${String(random.between(0, 59)).padStart(2, '0')}${random.of(['', '', 'am', ' pm'])}`,
    () =>
      random.of([
        'noon',
        'midnight',
        'five',
        'Five',
        'five thirty',
        'eleven pm',
        'oh five',
        'two hundred',
        'six fourteen',
      ]),
    () => `${random.of(['minute', 'minutes', 'second', 'hour', 'h'])} ${random.between(0, 59)}`,
  ])()

const DAYS = ['monday', 'tue', 'Wednesday', 'thursday', 'friday', 'sat', 'Sun']
const ORDINALS = ['1st', '2nd', 'third', 'fifteenth', '21st', 'last', '31st', '30th', 'twenty-first', 'second', '7th']
const UNITS = [
  'second',
  'seconds',
  'minutes',
  'minute',
  'hours',
  'hour',
  'days',
  'day',
  'months',
  'month',
  'min',
  'h',
  'M',
  's',
]
const AND = [' and ', ' or ', ', ', ',', ' and, ']

const joined = (random: Random, values: readonly string[], most = 3): string =>
  Array.from({ length: random.chance(0.6) ? 1 : random.between(2, most) }, () => random.of(values)).join(random.of(AND))

const part = (random: Random): string =>
  random.of([
    () => `every ${random.chance(0.5) ? `${random.between(0, 62)} ` : ''}${random.of(UNITS)}`,
    () =>
      `every ${random.between(1, 30)} ${random.of(UNITS)} ${random.of(['from', 'starting at'])} ${random.of(UNITS)} ${random.between(0, 9)}`,
    () =>
      `every ${joined(random, [...DAYS, 'weekday', 'week', 'year', '1 week', 'mon-fri', 'tue to thu', 'other day'])}`,
    () => `every ${joined(random, ORDINALS)} of the month`,
    () => 'every day',
    () => `${random.of(['at ', 'at ', ''])}${time(random)}`,
    () => `at ${time(random)}${random.of(AND)}${time(random)}`,
    () => `${random.of(['from ', ''])}${random.of(DAYS)} ${random.of(['to', '-', 'through'])} ${random.of(DAYS)}`,
    () => `from ${random.of(['', 'the '])}${random.of(ORDINALS)} to ${random.of(ORDINALS)}`,
    () => `from ${time(random)} to ${time(random)}`,
    () =>
      `on ${random.of(['the ', 'day ', 'days ', 'minute ', ''])}${joined(random, [...ORDINALS, ...DAYS, '1', '15', 'hour', 'minute'])}`,
    () => `${random.of(['in ', 'on ', ''])}${random.of([...ZONES, '+0530', 'Z', '-03', 'Mars/Olympus'])}`,
  ])()

const phraseText = (random: Random): string => {
  const count = random.chance(0.3) ? 1 : random.between(2, 3)
  const first = random.chance(0.5)
    ? [`every ${random.of(['day', 'hour', 'month', 'week', '5 minutes', 'monday', 'weekday'])}`]
    : []
  return [...first, ...Array.from({ length: count }, () => part(random))].join(random.of([' ', ' ', ' ', ', ']))
}
