import type { Configuration } from '../configuration.ts'
import { ConfigurationError } from '../errors.ts'
import { ianaTimeZone, isTimeZone } from '../serialize/values/time-zones.ts'
import type { CronExpressionOptions } from './expression/cron-expression.ts'

/**
 * The zone of schedules that name none: `cronZone`, then TZ, then UTC, which is the default of Rails' `config.time_zone`. Ruby (et-orbi)
 * reads TZ first, then `config.time_zone`. Without a zone the expression reads TZ.
 * @throws ConfigurationError for a `cronZone` that does not exist
 */
export const expressionOptions = (
  { cronZone, railsVersion }: Pick<Configuration, 'cronZone' | 'railsVersion'>,
  env: NodeJS.ProcessEnv = process.env,
): CronExpressionOptions => {
  if (cronZone === undefined) return env.TZ ? {} : { zone: 'UTC' }
  const zone = ianaTimeZone(cronZone.trim(), railsVersion)
  if (isTimeZone(zone)) return { zone }
  throw new ConfigurationError(
    `cronZone: there is no time zone ${JSON.stringify(cronZone)}; write a name such as "Europe/Berlin", or that of config.time_zone in Rails`,
  )
}
