import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { type JobState, jobStateSql } from '../jobs/states.ts'

/** The newest job of a cron entry; times are ISO text. */
export interface LastCronRun {
  readonly cron_key: string
  readonly id: string
  readonly cron_at: string | null
  readonly created_at: string
  readonly state: JobState
  readonly error: string | null
}

const COLUMNS = 'id, cron_key, cron_at, created_at, scheduled_at, performed_at, finished_at, error'

// $1 keys text[] · $2 now. Each key is one search of the index on cron_key and cron_at.
const lastRunsText = ({ timestampType }: Facts) => `
SELECT job.cron_key, id, cron_at, created_at, error, ${jobStateSql(`$2::${timestampType}`)} AS state
FROM unnest($1::text[]) AS entry(cron_key)
CROSS JOIN LATERAL (
  SELECT * FROM (
    (SELECT ${COLUMNS} FROM good_jobs WHERE cron_key = entry.cron_key AND cron_at IS NOT NULL ORDER BY cron_at DESC LIMIT 1)
    UNION ALL
    (SELECT ${COLUMNS} FROM good_jobs WHERE cron_key = entry.cron_key AND cron_at IS NULL ORDER BY created_at DESC LIMIT 1)
  ) AS either
  ORDER BY cron_at IS NULL
  LIMIT 1
) AS job`

/** The newest job of each of these entries. GoodJob 4.23.1 cron_entry.rb#last_jobs_by_key. */
export const findLastCronRuns = async (
  db: Queryable,
  facts: Facts,
  { keys, now }: { readonly keys: readonly string[]; readonly now: string },
): Promise<Map<string, LastCronRun>> => {
  const rows = await rowsOf<LastCronRun & Record<string, unknown>>(db, {
    text: lastRunsText(facts),
    values: [keys, now],
  })
  return new Map(rows.map((row) => [row.cron_key, row]))
}

// $1 key text · $2 at
const lastOccurrenceText = ({ timestampType }: Facts) =>
  `SELECT max(cron_at) AS cron_at FROM good_jobs WHERE cron_key = $1::text AND cron_at <= $2::${timestampType}`

/** The newest instant, at or before a time, for which an entry has a job. */
export const findLastOccurrence = async (
  db: Queryable,
  facts: Facts,
  { key, until }: { readonly key: string; readonly until: string },
): Promise<Date | undefined> => {
  const text = lastOccurrenceText(facts)
  const [row] = await rowsOf<{ cron_at: string | null }>(db, { text, values: [key, until] })
  return row?.cron_at == null ? undefined : new Date(row.cron_at)
}

/** $1 key text */
const CRON_KEY_EXISTS = `
SELECT EXISTS (SELECT FROM good_jobs WHERE cron_key = $1::text) OR EXISTS (
  SELECT FROM good_job_settings
  WHERE key IN ('cron_keys_enabled', 'cron_keys_disabled') AND value @> jsonb_build_array($1::text)
) AS is_known`

/** Whether an entry of this key has left a job or a setting, in whatever process. */
export const isKnownCronKey = async (db: Queryable, key: string): Promise<boolean> => {
  const [row] = await rowsOf<{ is_known: boolean }>(db, { text: CRON_KEY_EXISTS, values: [key] })
  return row?.is_known === true
}
