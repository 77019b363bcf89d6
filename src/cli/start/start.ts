import { type Command, Option } from 'commander'
import { parseQueueString } from '../../claim/queue-string.ts'
import { setDefaultQueueAdapter } from '../../job/adapters/queue-adapter.ts'
import { createLogger, LOG_LEVELS, type LogLevel } from '../../observe/logger.ts'
import { Presence } from '../../probe/presence.ts'
import { Capsule } from '../../worker/capsule.ts'
import { queueWarnings } from '../doctor/queue-warnings.ts'
import { report } from '../failure.ts'
import { addMistakenOptions } from '../mistaken-options.ts'
import { plural } from '../output.ts'
import { loadJobs } from './load-jobs.ts'
import { addProcessOptions, processOptionsOf } from './process-options.ts'
import { runUntilEnd } from './run-until-end.ts'
import { addWorkerOptions, workerOptionsOf } from './worker-options.ts'

const EXAMPLES = `
Examples:
  good-job start ./jobs.js                      every queue, 5 jobs at a time
  good-job start --queues "node:10" ./jobs.js   one queue, 10 at a time
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
    .addHelpText('after', EXAMPLES)
  addProcessOptions(command)
  addMistakenOptions(command, { '--connection-string': '--database-url' })
  addWorkerOptions(command).action((modules: string[]) => start(command, modules))
}

const start = async (command: Command, modules: readonly string[]): Promise<void> => {
  const { logLevel, json, verbose } = command.optsWithGlobals<{
    logLevel: LogLevel
    json?: boolean
    verbose?: boolean
  }>()
  const logger = createLogger(logLevel)
  const processOptions = processOptionsOf(command)
  // The modules may read Job.queueAdapter while they load.
  let capsule: Capsule | undefined
  setDefaultQueueAdapter(() => {
    if (capsule === undefined)
      throw new Error('Job.queueAdapter is available once the worker starts, not while modules load')
    return capsule.adapter
  })
  const jobs = await loadJobs(modules)
  capsule = new Capsule({ jobs, logger, catchRejections: false, ...workerOptionsOf(command) })
  const { queues, threads } = capsule.configuration
  for (const text of queueWarnings(queues, parseQueueString(queues, threads), jobs)) logger.warn({}, text)
  const worker = capsule
  try {
    const presence = await Presence.open(processOptions, worker.health, logger)
    const code = await runUntilEnd(worker, logger, {
      onReady: () => {
        process.stdout.write(`${readyLine(worker, json === true)}\n`)
        presence.ready()
      },
      onStopping: () => presence.stopping(),
    })
    presence.close()
    process.exit(code)
  } catch (error) {
    process.exit(report(error, { isVerbose: verbose === true }))
  }
}

const readyLine = ({ configuration, processId, registry }: Capsule, isJson: boolean): string => {
  const pools = parseQueueString(configuration.queues, configuration.threads).map(({ name, maxThreads }) => ({
    queues: name,
    max_threads: maxThreads,
  }))
  const classes = registry.names().sort()
  if (isJson)
    return JSON.stringify({ status: 'ready', pid: process.pid, process_id: processId, pools, job_classes: classes })
  const poolText = pools.map(({ queues, max_threads }) => `${queues}:${max_threads}`).join(';')
  const current = registry.describe()
  return `good-job ready: pid ${process.pid}, process ${processId}, pools ${poolText}, ${plural(current.length, 'job class')}: ${current.join(', ')}`
}
