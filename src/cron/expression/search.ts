import { LocalTime } from './local-time.ts'
import { nextCandidate, UncertainMidnight } from './matching.ts'
import type { Schedule } from './schedule.ts'
import type { Zone } from './zone.ts'

export interface Found {
  /** Seconds since 1970; undefined if no occurrence was found. */
  readonly second: number | undefined
  /** fugit's calculation from the same start raises: it needs a midnight over which the clocks change. */
  readonly isAfterSkip: boolean
}

export interface Zones {
  /** The zone of the expression. */
  readonly own: Zone
  /** The zone of the process, in which fugit reads the start of the calculation. */
  readonly process: Zone
}

/**
 * Eight times the steps after which fugit 1.14.0 raises. A schedule that needs more (a leap day on a certain weekday takes 40 steps a
 * year) fires less than once in 45 years.
 */
const MAX_STEPS = 16_384

/** The first occurrence after `start`, a second since 1970. fugit 1.14.0 cron.rb#next_time. */
export const findOccurrence = (schedule: Schedule, zones: Zones, start: number): Found => {
  let from = { second: start, wall: start + zones.process.offsetAt(start), offset: zones.own.offsetAt(start) }
  let isAfterSkip = false
  let second = start
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const time = new LocalTime(zones.own, second)
    const candidate = second === from.second ? { second: second + 1 } : candidateAfter(schedule, time)
    isAfterSkip ||= 'isSkip' in candidate
    if (candidate.second !== undefined) second = candidate.second
    else if (time.wall === from.wall && time.offset !== from.offset) from = time
    else return { second, isAfterSkip }
  }
  return { second: undefined, isAfterSkip }
}

const candidateAfter = (schedule: Schedule, time: LocalTime): { second: number | undefined; isSkip?: true } => {
  try {
    return { second: nextCandidate(schedule, time) }
  } catch (error) {
    if (!(error instanceof UncertainMidnight)) throw error
    return { second: error.resumeAt, isSkip: true }
  }
}
