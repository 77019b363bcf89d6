import type { Options } from '../../configuration.ts'
import type { CronEntries } from '../../schedule/options.ts'
import { mergeCron } from './load-jobs.ts'

/**
 * The option `cron` of a command: the entries that modules export, together with those of `--cron`. Without both, GOOD_JOB_CRON applies.
 * @throws ModuleError for two entries with one key
 */
export const cronOptions = (exported: CronEntries | undefined, { cron: given }: Options): Pick<Options, 'cron'> => {
  const sources = [
    ...(exported === undefined ? [] : [{ from: 'the modules', entries: exported }]),
    ...(given === undefined ? [] : [{ from: '--cron', entries: given }]),
  ]
  return sources.length === 0 ? {} : { cron: mergeCron(sources) }
}
