import { type Queryable, rowsOf } from './connection/queryable.ts'
import type { Facts } from './database.ts'
import { textArray } from './text.ts'

/** A start time as notifications carry it: ISO 8601 in UTC, truncated to milliseconds. GoodJob job.rb. `column` is a time column. */
export const startText = ({ timestampType }: Facts, column: string): string => {
  const utc = timestampType === 'timestamptz' ? `${column} AT TIME ZONE 'UTC'` : column
  return `to_char(${utc}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}

/** A CTE that sends one notification for each row of the CTE `waiting` for which `condition` holds. */
export const notifyWaiting = (facts: Facts, condition: string): string => `
notified AS MATERIALIZED (
  SELECT pg_notify('good_job',
    json_build_object('queue_name', queue_name, 'scheduled_at', ${startText(facts, 'scheduled_at')})::text)
  FROM waiting
  WHERE ${condition}
)`

/** The columns of a job that a notification contains, from the texts of its columns. */
interface AnnouncedJob {
  readonly queue_name: string
  readonly scheduled_at: string
  /** Whether waiting workers are notified. */
  readonly is_notified: boolean
}

/** A start time as notifications carry it, from the text of a column. */
const inMilliseconds = (at: string): string => at.replace(/(\.\d{3})\d*Z$/, '$1Z')

/** Returns the payload of the notification for one job. */
export const messageOf = ({ queue_name, scheduled_at }: AnnouncedJob): string =>
  JSON.stringify({ queue_name, scheduled_at: inMilliseconds(scheduled_at) })

/** $1 payloads text[] */
const SEND_MESSAGES = `SELECT pg_notify('good_job', payload)::text AS message FROM unnest($1::text[]) AS payload`

/** Notifies the workers of jobs that were inserted without a notification: one for each queue and time, as for one bulk. */
export const announceJobs = async (db: Queryable, jobs: readonly AnnouncedJob[]): Promise<void> => {
  const groups = new Map<string, { queue_name: string; count: number; scheduled_at: string }>()
  for (const { queue_name, scheduled_at, is_notified } of jobs) {
    if (!is_notified) continue
    const startsAt = inMilliseconds(scheduled_at)
    const key = `${startsAt} ${queue_name}`
    const group = groups.get(key)
    if (group) group.count += 1
    else groups.set(key, { queue_name, count: 1, scheduled_at: startsAt })
  }
  const payloads = [...groups.values()].map((group) => JSON.stringify(group))
  if (payloads.length > 0) await rowsOf(db, { text: SEND_MESSAGES, values: [textArray(payloads)] })
}
