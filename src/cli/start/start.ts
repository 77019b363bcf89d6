import { type Command, Option } from 'commander'
import { planCluster } from '../../cluster/plan.ts'
import { durationsOf, resolveConfiguration } from '../../configuration.ts'
import { createLogger, LOG_LEVELS, type LogLevel } from '../../observe/logger.ts'
import { report } from '../failure.ts'
import { addMistakenOptions } from '../mistaken-options.ts'
import { addProcessOptions, processOptionsOf } from './process-options.ts'
import { SupervisorLink } from './supervisor-link.ts'
import { addWorkerOptions, workerOptionsOf } from './worker-options.ts'

const EXAMPLES = `
Examples:
  good-job start ./jobs.js                      every queue, 5 jobs at a time
  good-job start --queues "node:10" ./jobs.js   one queue, 10 at a time
  good-job start --subprocesses 2 ./jobs.js     two processes, for two processor cores
  good-job start --idle-timeout 60 ./a.js ./b.js

SIGTERM and SIGINT let running jobs end (--shutdown-timeout); a second one aborts them.`

/** `good-job start <module…>`: a worker process. */
export const addStartCommand = (program: Command): void => {
  const command = program
    .command('start')
    .description('run the jobs of your modules: every exported Job class')
    .argument('<module...>', 'files or packages that export Job classes')
    .addOption(
      new Option('--log-level <level>', 'minimum level of the lines on standard error')
        .choices(LOG_LEVELS)
        .env('GOOD_JOB_LOG_LEVEL')
        .default('info')
        .helpGroup('Output:'),
    )
    .addOption(new Option('--json', 'the ready line as JSON').helpGroup('Output:'))
    .addOption(new Option('--subprocess <json>').hideHelp())
    .addHelpText('after', EXAMPLES)
  addProcessOptions(command)
  addMistakenOptions(command, { '--connection-string': '--database-url' })
  addWorkerOptions(command).action((modules: string[]) => start(command, modules))
}

interface StartOptions {
  readonly logLevel: LogLevel
  readonly json?: boolean
  readonly verbose?: boolean
  readonly subprocess?: string
}

const start = async (command: Command, modules: readonly string[]): Promise<void> => {
  const { logLevel, json, verbose, subprocess } = command.optsWithGlobals<StartOptions>()
  const logger = createLogger(logLevel)
  const options = workerOptionsOf(command)
  const link = SupervisorLink.parse(subprocess)
  const processOptions = processOptionsOf(command)
  const output = { logger, isJson: json === true, isVerbose: verbose === true }
  try {
    if (link === undefined) {
      const configuration = resolveConfiguration(options)
      const plan = planCluster({ ...configuration, subprocesses: processOptions.subprocesses ?? 0 })
      if (plan !== undefined) {
        const { supervise } = await import('./supervise.ts')
        const { shutdownTimeoutMs } = durationsOf(configuration)
        process.exit(await supervise({ ...output, plan, processOptions, shutdownTimeoutMs }))
      }
    }
    // Imported here: a supervisor loads neither Postgres's client nor your modules.
    const { work } = await import('./work.ts')
    process.exit(await work({ ...output, options, modules, link, processOptions }))
  } catch (error) {
    process.exit(report(error, output))
  }
}
