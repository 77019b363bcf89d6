import { ConfigurationError } from '../errors.ts'
import { type CronSwitches, findCronSwitches } from '../sql/cron/settings.ts'
import type { CronEntry } from './entry.ts'

/** Whether an entry is on, and who decided it: its `enabledByDefault`, or a person with the dashboard or the command line. */
export interface EntryState {
  readonly isEnabled: boolean
  readonly enabledBy: 'default' | 'switch'
}

/** GoodJob 4.23.1 setting.rb#cron_key_enabled?: each default has its own list of exceptions. */
export const stateOf = (key: string, isOnByDefault: boolean, { enabled, disabled }: CronSwitches): EntryState => {
  const isEnabled = isOnByDefault ? !disabled.has(key) : enabled.has(key)
  const isSwitched = isEnabled ? enabled.has(key) : disabled.has(key)
  return { isEnabled, enabledBy: isSwitched ? 'switch' : 'default' }
}

/** Reads the settings at an occurrence. Rows that nobody can read count as empty; each is reported once. */
export class SwitchReader {
  #reported = ''

  /** @throws what the default of the entry throws, and what Postgres reports */
  async isEnabled(entry: CronEntry, report: (error: ConfigurationError) => void): Promise<boolean> {
    const switches = await findCronSwitches(entry.context.adapter.database.pool)
    this.#report(switches, report)
    return stateOf(entry.key, await entry.isEnabledByDefault(), switches).isEnabled
  }

  #report({ unreadable }: CronSwitches, report: (error: ConfigurationError) => void): void {
    const text = unreadable.map(({ key, value }) => `${key}: ${value}`).join('; ')
    if (text !== '' && text !== this.#reported) {
      report(
        new ConfigurationError(
          `good_job_settings has a value that is not a list of keys, and counts as empty: ${text}`,
        ),
      )
    }
    this.#reported = text
  }
}
