import type { Configuration, Durations, Options } from '../configuration.ts'
import { CronManager } from '../cron/manager.ts'
import type { Logger } from '../job/logger.ts'
import type { Adapter } from '../maintenance/adapter.ts'
import type { Part } from './part.ts'
import { CLOSE_MS, GRACE_MS } from './shutdown.ts'

/**
 * Entries of your code are checked in every worker. Those of the environment may be meant for Ruby, and are checked only where cron is on.
 * @throws ConfigurationError that names the entry and its member
 */
export const checkCron = ({ configuration, cron }: Adapter, options: Options, logger: Logger): void => {
  const { enableCron, preserveJobRecords } = configuration
  if (!enableCron && options.cron === undefined) return
  if (cron.entries.length === 0 || !enableCron || configuration.cronGracefulRestartPeriod <= 0) return
  if (keepsEveryJob(configuration)) return
  const preserve = JSON.stringify(preserveJobRecords)
  logger.warn(
    {},
    `cronGracefulRestartPeriod is ignored because preserveJobRecords is ${preserve}: jobs that have ended could run again`,
  )
}

/** GoodJob 4.23.1 cron_manager.rb#graceful_restart?: a function cannot be asked in advance. */
const keepsEveryJob = ({ preserveJobRecords }: Configuration): boolean =>
  preserveJobRecords === true || typeof preserveJobRecords === 'function'

interface CronOptions {
  readonly adapter: Adapter
  readonly configuration: Configuration
  readonly durations: Durations
  readonly processId: string
}

/** The manager of a worker whose cron is on and that has entries. */
export const buildCron = ({ adapter, configuration, durations, processId }: CronOptions): CronManager | undefined => {
  if (!configuration.enableCron || adapter.cron.entries.length === 0) return undefined
  const gracefulRestartMs = keepsEveryJob(configuration) ? durations.cronGracefulRestartMs : 0
  return new CronManager({ entries: adapter.cron.entries, processId, gracefulRestartMs })
}

/** The timers of cron entries stop as soon as the worker begins to stop; an enqueue under way may end. */
export const cronPart = (manager: CronManager): Part => ({
  name: 'cron',
  servesJobs: false,
  start: async ({ signal }) => manager.start(signal),
  stop: async (deadline) => {
    await deadline.allows(manager.stop(), { graceMs: GRACE_MS.cron, patienceMs: CLOSE_MS })
  },
})
