import { pc } from '../../colors.ts'
import type { CronEntryStatus } from '../../cron/status.ts'
import { stateText } from '../../observe/batch-bar.ts'
import { agoText, table, timeText } from '../output.ts'

/** Entries as a table; times are UTC. */
export const drawEntries = (entries: readonly CronEntryStatus[], now: Date): string =>
  table(
    ['key', 'schedule', 'zone', 'class', 'state', 'last run', 'next (UTC)'],
    entries.map((entry) => [
      entry.key,
      entry.cron ?? 'a function',
      entry.zone ?? '–',
      entry.jobClass ?? 'a function',
      stateOfEntry(entry),
      lastRunText(entry, now),
      entry.scheduleError === null ? entry.next.map(timeText).join(', ') || '–' : pc.red(entry.scheduleError),
    ]),
  )

const stateOfEntry = ({ isEnabled, enabledBy }: CronEntryStatus): string => {
  const state = isEnabled ? pc.green('enabled') : pc.yellow('disabled')
  return enabledBy === 'switch' ? `${state} by hand` : state
}

const lastRunText = ({ lastRun }: CronEntryStatus, now: Date): string =>
  lastRun === null ? '–' : `${stateText(lastRun.state)} ${agoText(lastRun.cronAt, now)}`

/** One instant a line, in UTC and in the zone of the expression. */
export const drawInstants = (instants: readonly Date[], zone: string): string => {
  const local = localFormat(zone)
  return instants.map((at) => `${at.toISOString()}${local === undefined ? '' : `  ${local(at)} ${zone}`}`).join('\n')
}

/** Intl of Node 20 does not format every offset that an expression may name. */
const localFormat = (zone: string): ((at: Date) => string) | undefined => {
  if (zone === 'UTC') return undefined
  try {
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
    return (at) => format.format(at)
  } catch {
    return undefined
  }
}
