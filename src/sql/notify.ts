import type { Facts } from './database.ts'

/** A start as messages carry it: ISO 8601 in UTC, cut to milliseconds. GoodJob job.rb. `column` is a time column. */
export const startText = ({ timestampType }: Facts, column: string): string => {
  const utc = timestampType === 'timestamptz' ? `${column} AT TIME ZONE 'UTC'` : column
  return `to_char(${utc}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}

/** A CTE that sends one message for each row of the CTE `waiting` for which `condition` holds. */
export const notifyWaiting = (facts: Facts, condition: string): string => `
notified AS MATERIALIZED (
  SELECT pg_notify('good_job',
    json_build_object('queue_name', queue_name, 'scheduled_at', ${startText(facts, 'scheduled_at')})::text)
  FROM waiting
  WHERE ${condition}
)`
