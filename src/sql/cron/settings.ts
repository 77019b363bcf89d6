import { countOf, type Queryable, rowsOf } from '../connection/queryable.ts'
import { type Facts, serverNow } from '../database.ts'

/** The keys of the two rows of good_job_settings. GoodJob: Setting::CRON_KEYS_ENABLED and CRON_KEYS_DISABLED. */
export type CronSetting = 'cron_keys_enabled' | 'cron_keys_disabled'

/** Which entries a person has switched on and off. */
export interface CronSwitches {
  readonly enabled: ReadonlySet<string>
  readonly disabled: ReadonlySet<string>
  /** The rows whose value is not a list. They count as empty lists. */
  readonly unreadable: readonly { readonly key: CronSetting; readonly value: string }[]
}

const isList = `jsonb_typeof(value) = 'array'`

/** Names in a list; other elements are ignored, as in Ruby. */
const FIND_CRON_SWITCHES = `
SELECT key, ${isList} AS is_list,
  ARRAY(
    SELECT element #>> '{}'
    FROM jsonb_array_elements(CASE WHEN ${isList} THEN value ELSE '[]' END) AS element
    WHERE jsonb_typeof(element) = 'string'
  ) AS names,
  CASE WHEN NOT ${isList} THEN left(value::text, 200) END AS value
FROM good_job_settings
WHERE key IN ('cron_keys_enabled', 'cron_keys_disabled')`

interface SwitchRow {
  readonly key: CronSetting
  readonly is_list: boolean | null
  readonly names: readonly string[]
  readonly value: string | null
}

/** Reads both lists with one query. */
export const findCronSwitches = async (db: Queryable): Promise<CronSwitches> => {
  const rows = await rowsOf<SwitchRow & Record<string, unknown>>(db, { text: FIND_CRON_SWITCHES })
  const names = (key: CronSetting) => new Set(rows.find((row) => row.key === key)?.names)
  return {
    enabled: names('cron_keys_enabled'),
    disabled: names('cron_keys_disabled'),
    unreadable: rows
      .filter(({ is_list }) => is_list !== true)
      .map(({ key, value }) => ({ key, value: value ?? 'null' })),
  }
}

const listed = (value: string) => `(CASE jsonb_typeof(${value}) WHEN 'array' THEN ${value} ELSE '[]' END)`

// $1 setting text · $2 cron key text. The row lock of the conflict keeps two concurrent changes from losing one.
const appendText = (facts: Facts) => `
INSERT INTO good_job_settings AS setting (key, value, created_at, updated_at)
VALUES ($1::text, jsonb_build_array($2::text), ${serverNow(facts)}, ${serverNow(facts)})
ON CONFLICT (key) DO UPDATE
SET value = ${listed('setting.value')} || jsonb_build_array($2::text), updated_at = excluded.updated_at
WHERE NOT ${listed('setting.value')} @> jsonb_build_array($2::text)`

// $1 setting text · $2 cron key text
const removeText = (facts: Facts) => `
UPDATE good_job_settings
SET value = value - $2::text, updated_at = ${serverNow(facts)}
WHERE key = $1::text AND jsonb_typeof(value) = 'array' AND value @> jsonb_build_array($2::text)`

/** Locks a row until the end of the transaction, if it exists. */
const LOCK_CRON_SETTING = 'SELECT FROM good_job_settings WHERE key = $1::text FOR UPDATE'

/**
 * Switches an entry on or off in a transaction: adds it to one list and removes it from the other. Every caller locks the row of the
 * enabled keys first, so two callers never wait for each other. GoodJob 4.23.1 setting.rb#cron_key_enable, #cron_key_disable.
 */
export const switchCronKey = async (db: Queryable, facts: Facts, key: string, isOn: boolean): Promise<void> => {
  const [to, from]: CronSetting[] = isOn
    ? ['cron_keys_enabled', 'cron_keys_disabled']
    : ['cron_keys_disabled', 'cron_keys_enabled']
  if (!isOn) await rowsOf(db, { text: LOCK_CRON_SETTING, values: ['cron_keys_enabled'] })
  await countOf(db, { text: appendText(facts), values: [to, key] })
  await countOf(db, { text: removeText(facts), values: [from, key] })
}
