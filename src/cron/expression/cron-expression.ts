import { ConfigurationError } from '../../errors.ts'
import { explain } from './explanation.ts'
import { scheduleOf } from './field-values.ts'
import { type Fields, readFields } from './fields.ts'
import { fieldsOfPhrase } from './phrase.ts'
import { processZone } from './process-zone.ts'
import type { Refuse, Schedule } from './schedule.ts'
import { findOccurrence, type Zones } from './search.ts'
import { zoneNamed } from './zone.ts'

export interface CronExpressionOptions {
  /**
   * The zone of an expression that names none: a name such as "Europe/Berlin", or an offset. It is also the zone of the process where
   * Ruby's rule for clocks that are set back needs one. @default the environment variable TZ, else the system's zone
   */
  readonly zone?: string
}

/** The result of a calculation. */
export interface FoundOccurrence {
  readonly at: Date | undefined
  /** Occurrences before `at` were skipped, since Ruby's calculation raises for them. */
  readonly isAfterSkip: boolean
}

/** Starts of a calculation, in seconds since 1970: the years 1900 to 9999. */
const [FIRST, LAST] = [Date.UTC(1900, 0) / 1000, Date.UTC(10_000, 0) / 1000]

/** When a cron entry runs: the instants that Ruby's fugit 1.14.0 calculates for the same text. */
export class CronExpression {
  /** As it was given. */
  readonly text: string
  /** The fields that the text stands for: those of "every 5 minutes" are "*\/5 * * * *". */
  readonly fields: string
  /** The name or offset of the zone in which the fields are read. */
  readonly zone: string
  readonly #schedule: Schedule
  readonly #zones: Zones

  /** Use parseCron. */
  constructor(text: string, fields: string, schedule: Schedule, zones: Zones) {
    this.text = text
    this.fields = fields
    this.zone = zones.own.name
    this.#schedule = schedule
    this.#zones = zones
  }

  /** The first occurrence after `after`, a whole second, or undefined if there is none in many years. Never throws. */
  next(after: Date): Date | undefined {
    return this.find(after).at
  }

  /**
   * Like `next`. `isAfterSkip`: occurrences before `at` were skipped. Ruby's calculation raises for them, since it needs the midnight at
   * the start of a month and the clocks are changed over that midnight.
   */
  find(after: Date): FoundOccurrence {
    const start = Math.floor(after.getTime() / 1000)
    if (!(start >= FIRST && start < LAST)) return { at: undefined, isAfterSkip: false }
    const { second, isAfterSkip } = findOccurrence(this.#schedule, this.#zones, start)
    return { at: second === undefined ? undefined : new Date(second * 1000), isAfterSkip }
  }

  /** Up to `count` occurrences after `after`. */
  upcoming(after: Date, count: number): Date[] {
    const occurrences: Date[] = []
    for (let at = this.next(after); at !== undefined && occurrences.length < count; at = this.next(at))
      occurrences.push(at)
    return occurrences
  }

  /** The occurrences after `from` and before `to`, in order. Neither end belongs to them. fugit 1.14.0 cron.rb#within. */
  *within(from: Date, to: Date): Generator<Date> {
    for (let at = this.next(from); at !== undefined && at < to; at = this.next(at)) yield at
  }
}

/** What Ruby's String#strip removes. */
const OUTER_BLANKS = /^[\t\n\v\f\r ]+|[\t\n\v\f\r ]+$/g

/** fugit 1.14.0 reads no longer text. */
const MAX_LENGTH = 256

/**
 * Reads an expression: five fields, or six with seconds first, and a zone at the end if need be; `@daily` and the like.
 * @throws ConfigurationError with what is wrong and what to write instead
 */
export const parseCron = (text: string, options: CronExpressionOptions = {}): CronExpression => {
  const refuse = (reason: string): never => {
    throw new ConfigurationError(`cron ${JSON.stringify(text)} is refused: ${reason}.`)
  }
  if (typeof text !== 'string') refuse('it must be a text')
  const stripped = text.replace(OUTER_BLANKS, '')
  if (stripped.length > MAX_LENGTH) refuse(`it has more than ${MAX_LENGTH} characters`)
  const { text: fieldsText, fields } = readText(stripped, refuse)
  const process = processZone(options.zone)
  const own = fields.zone === undefined ? process : zoneNamed(fields.zone)
  if (own === undefined) return refuse(explain(expandName(stripped)))
  const cron = new CronExpression(text, fieldsText, scheduleOf(fields, refuse), { own, process })
  return cron.next(SOME_TIME) === undefined ? refuse('it never fires. Write a date that exists') : cron
}

const readText = (text: string, refuse: Refuse): { text: string; fields: Fields } => {
  const expanded = expandName(text)
  const fields = readFields(expanded)
  if (fields !== undefined) return { text: expanded, fields }
  const phrase = fieldsOfPhrase(text, refuse)
  const ofPhrase = phrase === undefined ? undefined : readFields(phrase)
  if (phrase === undefined || ofPhrase === undefined) return refuse(explain(expanded))
  return { text: phrase, fields: ofPhrase }
}

/** The check for expressions that never fire has the same result at each time. */
const SOME_TIME = new Date('2025-01-01T00:00:00Z')

const NAMED: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@noon': '0 12 * * *',
  '@hourly': '0 * * * *',
}

/** A zone may follow the name. */
const expandName = (text: string): string => text.replace(/^@\S+/, (name) => NAMED[name] ?? name)
