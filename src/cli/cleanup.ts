import type { Command } from 'commander'
import { OPTION_RULES } from '../configuration.ts'
import { cleanupPreservedJobs } from '../maintenance/cleanup.ts'
import { plural, print, printJson, snakeCase } from './output.ts'
import { addSessionOptions, withSession } from './session.ts'

/** `good-job cleanup_preserved_jobs`: GoodJob's command with the same option. */
export const addCleanupCommand = (program: Command): void => {
  const command = addSessionOptions(
    program.command('cleanup_preserved_jobs').description('delete finished jobs, their history, and finished batches'),
  ).option(
    '--before-seconds-ago <seconds>',
    'age at which they are deleted (default: 1209600, 14 days; env: GOOD_JOB_CLEANUP_PRESERVED_JOBS_BEFORE_SECONDS_AGO)',
    (text) => OPTION_RULES.cleanupPreservedJobsBeforeSecondsAgo.parse(text, '--before-seconds-ago'),
  )
  command.action(() =>
    withSession(command, async ({ adapter, isJson, progress }) => {
      const { database, clock, configuration } = adapter
      const given = command.getOptionValue('beforeSecondsAgo') as number | undefined
      const counts = await cleanupPreservedJobs({
        database,
        clock,
        olderThanSeconds: given ?? configuration.cleanupPreservedJobsBeforeSecondsAgo,
        includesDiscarded: configuration.cleanupDiscardedJobs,
        onProgress: ({ destroyedJobsCount }) => progress.tell(`${plural(destroyedJobsCount, 'job')} deleted …`),
      })
      const { destroyedJobsCount, destroyedExecutionsCount, destroyedBatchesCount } = counts
      if (isJson) printJson(snakeCase(counts))
      else {
        const batches = plural(destroyedBatchesCount, 'batch')
        print(
          `Deleted ${plural(destroyedJobsCount, 'job')}, ${plural(destroyedExecutionsCount, 'execution')}, ${batches}.`,
        )
      }
    }),
  )
}
